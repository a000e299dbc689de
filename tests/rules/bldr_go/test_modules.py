"""Modules of a go.sum, from a proxy on loopback that serves what Debian packages as golang-*-dev."""

import base64
import hashlib
import io
import shutil
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

SOURCES = Path("/usr/share/gocode/src")
MODULES = {
    "github.com/BurntSushi/toml": "v1.2.0",
    "github.com/mattn/go-isatty": "v0.0.17",
    "golang.org/x/sys": "v0.3.0",
}


def packed(module, version, directory):
    """The archive of a module as a proxy serves it, and the digest that go.sum has for it."""
    made = io.BytesIO()
    lines = []
    with zipfile.ZipFile(made, "w") as archive:
        for file in sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()):
            name = f"{module}@{version}/{file.relative_to(directory)}"
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
            lines.append((name, hashlib.sha256(file.read_bytes()).hexdigest()))
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(lines))
    return made.getvalue(), base64.b64encode(hashlib.sha256(listed.encode()).digest()).decode()


@pytest.fixture
def go_sum(mirror):
    """Serves the modules, and gives the text of the go.sum."""
    if shutil.which("go") is None:
        pytest.skip("there is no go here")
    lines = []
    for module, version in MODULES.items():
        if not (SOURCES / module).is_dir():
            pytest.skip(f"there are no modules of Debian here: {module}")
        archive, digest = packed(module, version, SOURCES / module)
        escaped = "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in module)
        mirror.serve(f"/proxy/{escaped}/@v/{version}.zip", archive)
        lines += [f"{module} {version} h1:{digest}", f"{module} {version}/go.mod h1:{'A' * 43}="]
    return "\n".join(lines) + "\n"


FILES = {
    "Builderfile": """
        [workspace]
        name = "test"

        [external.gomod]
        lock = "go.sum"
        options = { std = "bufio encoding/binary encoding/json fmt io/ioutil math sort strings" }

        [target.app]
        type = "executable"
        language = "go"
        sources = ["main.go"]
        deps = ["@gomod//:github.com/BurntSushi/toml", "@gomod//:github.com/mattn/go-isatty"]
        std = ["@gomod//:go-std"]
        """,
    "go.mod": """
        module example.org/app

        go 1.19

        require (
            github.com/BurntSushi/toml v1.2.0
            github.com/mattn/go-isatty v0.0.17 // indirect
        )
        """,
    "main.go": """
        package main

        import (
            "fmt"
            "os"

            "github.com/BurntSushi/toml"
            "github.com/mattn/go-isatty"
        )

        func main() {
            var table struct{ Answer int }
            if _, err := toml.Decode("answer = 42", &table); err != nil {
                panic(err)
            }
            fmt.Println(table.Answer, isatty.IsTerminal(os.Stdout.Fd()))
        }
        """,
}


def test_a_program_is_built_from_a_go_sum_and_a_proxy(project, mirror, go_sum):
    project.write({**FILES, "go.sum": go_sum})
    ran = project.bldr("build", "--hermetic", "//...", GOPROXY=f"{mirror.url}/proxy,direct")
    assert ran.exit_code == 0, ran
    assert len(mirror.requests) == len(MODULES)
    assert project.output_of("app") == "42 false\n"

    mirror.stop()
    assert project.bldr("build", "--hermetic", "//...").ran == []
    main = project.root / "main.go"
    main.write_text(main.read_text().replace("42", "43"))
    assert project.bldr("build", "--hermetic", "//...").ran == ["GoCompile //:app", "GoLink //:app"]
    assert project.output_of("app") == "43 false\n"

    main.write_text(main.read_text().replace('"os"\n', '"os"\n\t"net/http"\n'))
    ran = project.bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 1
    assert 'main.go:6:2: "net/http" is the import_path of none of the deps, nor a package of the standard' in ran.output

    main.write_text(main.read_text().replace('\t"net/http"\n', ""))
    main.write_text(main.read_text().replace("func main() {", "func main() {\n\tvar unused int"))
    ran = project.bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 1
    line = main.read_text().splitlines().index("\tvar unused int") + 1
    assert f"main.go:{line}:" in ran.output and "unused" in ran.output, ran


def test_a_module_that_is_not_what_go_sum_says_is_refused(project, mirror, go_sum, tmp_path):
    archive, _ = packed("golang.org/x/sys", "v0.3.0", SOURCES / "github.com/mattn/go-isatty")
    mirror.serve("/proxy/golang.org/x/sys/@v/v0.3.0.zip", archive)
    project._cache = tmp_path / "another-cache"  # nothing was fetched into it before
    project.write({**FILES, "go.sum": go_sum})
    ran = project.bldr("build", "--hermetic", "//...", GOPROXY=f"{mirror.url}/proxy")
    assert ran.exit_code != 0
    assert "golang.org/x/sys v0.3.0" in ran.output, ran
