"""Pinned toolchains: programs out of an archive, in sandboxes that show nothing of this machine's."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

TOOL = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int count, char **words) {
    FILE *out = fopen(words[count - 1], "w");
    for (int at = 1; at < count; at++) fprintf(out, "%s\n", words[at]);
    fprintf(out, "%s\n", getenv("TOOL_MODE"));
    chmod("/toolchain/toy/tree/share/data", 0666);
    int own = open("/toolchain/toy/tree/share/data", O_WRONLY);
    int new = open("/toolchain/toy/tree/new", O_WRONLY | O_CREAT, 0666);
    fprintf(out, "%s\n", own < 0 && new < 0 ? "read-only" : "could write");
    FILE *data = fopen("/toolchain/toy/tree/share/data", "r");
    char line[80];
    fprintf(out, "%s", data && fgets(line, sizeof line, data) ? line : "no data\n");
    fprintf(out, "%s\n", access("/usr/bin/gcc", F_OK) ? "no gcc" : "gcc");
    return fclose(out);
}
"""
BUILDERFILE = """
[external.toys]
url = "file:toys.tar"
sha256 = "{sha256}"

[toolchain.toy]
external = "toys"
commands = {{ toy = ["bin/tool", "--first", "two words"], plain = "bin/tool" }}
env = {{ TOOL_MODE = "{mode}" }}

[target.made]
type = "command"
outputs = ["made.txt"]
command = ["toy", "made.txt"]
toolchains = ["toy"]
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    """A program that needs no library."""
    if shutil.which("cc") is None:
        pytest.skip("there is no compiler here")
    directory = tmp_path_factory.mktemp("tool")
    (directory / "tool.c").write_text(TOOL)
    subprocess.run(["cc", "-static", "-o", directory / "tool", directory / "tool.c"], check=True)
    return (directory / "tool").read_bytes()


def archive(tool, data):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, mode in (("bin/tool", tool, 0o755), ("share/data", data, 0o644), ("bin/text", b"", 0o644)):
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(content), mode
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def toy(project, tool):
    """Makes the workspace `name` with this data in the toolchain's archive."""

    def make(name, data=b"data\n", mode="strict"):
        content = archive(tool, data)
        text = BUILDERFILE.format(sha256=hashlib.sha256(content).hexdigest(), mode=mode)
        made = project({"Builderfile": text}, name=name)
        (made.root / "toys.tar").write_bytes(content)
        return made

    return make


def test_what_a_command_is_and_sees(toy):
    first = toy("first")
    built = first.build("//...")
    assert built.exit_code == 0, built
    assert first.out("made.txt").read_text().splitlines() == [
        "--first", "two words", "made.txt", "strict", "read-only", "data", "no gcc",
    ]  # fmt: skip
    # Another checkout has the same toolchain; another table, or another archive, is another one.
    assert toy("second").build("//...").ran == []
    assert toy("third", mode="lax").build("//...").ran == ["Command //:made"]
    assert toy("fourth", data=b"other\n").build("//...").ran == ["Command //:made"]


def test_doctor_and_mistakes(toy):
    workspace = toy("first")

    def listed():
        report = json.loads(workspace.bldr("doctor", "--format=json").stdout)
        return next(toolchain for toolchain in report["toolchains"] if toolchain["name"] == "toy")

    (workspace.root / "toys.tar").rename(workspace.root / "elsewhere")
    missing = listed()
    assert (missing["found"], missing["pinned"]) == (False, "toys")
    assert 'toys.tar" cannot be read' in missing["description"], missing
    (workspace.root / "elsewhere").rename(workspace.root / "toys.tar")
    found = listed()
    assert found["found"], found
    assert len(found["identity"]) == 64
    assert f"toy         pinned to @toys, {found['identity'][:12]}: plain, toy\n" in workspace.bldr("doctor").stdout
    text = workspace.read("Builderfile").replace('"bin/tool", "--first"', '"bin/tol", "--first"')
    (workspace.root / "Builderfile").write_text(text)
    failed = workspace.build("//...")
    assert failed.exit_code != 0
    assert 'the toolchain "toy" has no program "bin/tol" for its command "toy" in the external' in failed.stderr
    assert 'did you mean "tool"?' in failed.stderr, failed


def test_a_toolchain_that_cannot_be_fetched_is_no_fault_of_the_handler_that_asks(project):
    made = project({
        "Builderfile": f"""
        [external.toys]
        url = "file:toys.tar"
        sha256 = "{64 * "0"}"

        [toolchain.cc]
        external = "toys"
        commands = {{ cc = "bin/cc" }}

        [target.hello]
        type = "executable"
        language = "c"
        sources = ["hello.c"]
        """,
        "hello.c": "int main(void) {{ return 0; }}\n",
    })  # fmt: skip
    failed = made.build("//...")
    assert failed.exit_code == 1, failed
    assert failed.stderr.startswith('error: external "toys": '), failed
    assert 'toys.tar" cannot be read' in failed.stderr, failed


ZIG = """
[external.zig]
pypi = "ziglang==0.13.0"
sha256 = "3ce0c9f16547e5d61b32e0d226926e9a2552ef4b91fccf7ab5ea1a623a77824b"
builderfile = "zig.Builderfile"

[toolchain.cc]
external = "zig"
attributes = { compiler = "clang", version = "18.1.6", cc = "cc", cxx = "c++", honours_source_date_epoch = "yes" }
env = { ZIG_GLOBAL_CACHE_DIR = "/tmp/zig", ZIG_LOCAL_CACHE_DIR = "/tmp/zig" }

[toolchain.cc.commands]
cc = ["ziglang/zig", "cc", "-target", "x86_64-linux-gnu.2.28"]
"c++" = ["ziglang/zig", "c++", "-target", "x86_64-linux-gnu.2.28"]
ar = ["ziglang/zig", "ar"]

[target.greeting]
type = "library"
language = "c"
sources = ["greeting.c"]
headers = ["greeting.h"]

[target.hello]
type = "executable"
language = "c"
sources = ["hello.c"]
deps = [":greeting"]

[target.foreign]
type = "executable"
language = "c"
sources = ["hello.c", "greeting.c"]
headers = ["greeting.h"]
flags = ["--target=aarch64-linux-gnu.2.28"]
link_flags = ["--target=aarch64-linux-gnu.2.28"]
"""


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_zig_from_pypi_is_a_c_compiler_that_needs_no_host(project, tmp_path):
    """PATH is empty, so that no compiler of this machine can be found; two checkouts, each built from nothing."""
    if os.uname().machine != "x86_64":
        pytest.skip("the wheel that is pinned is for x86_64")
    files = {
        "Builderfile": ZIG,
        "zig.Builderfile": "",
        "greeting.h": "const char *greeting(void);\n",
        "greeting.c": '#include "greeting.h"\nconst char *greeting(void) { return "hello from " __FILE__; }\n',
        "hello.c": '#include <stdio.h>\n#include "greeting.h"\nint main(void) { return puts(greeting()) < 0; }\n',
    }
    (tmp_path / "empty").mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("proxy")
    }
    digests = []
    for name in ("first", "a-second-place"):
        made = project(files, name=name)
        made.cache = tmp_path / f"cache-{name}"
        if digests:
            made.cache.mkdir()
            subprocess.run(["cp", "-a", tmp_path / "cache-first/v1", made.cache / "v1"], check=True)
            for path in (made.cache / "v1").glob("store-*"):
                path.unlink()  # what was built is forgotten, what was fetched is not
        env = {**kept, "PATH": str(tmp_path / "empty")}
        fetched = made.bldr("fetch", env=env)
        if "there is no sdist" in fetched.stderr or "cannot be read" in fetched.stderr:
            pytest.skip("no index of Python packages can be reached")
        process = subprocess.run(
            made.command("build", "--hermetic", "//...", events=tmp_path / name / "events"),
            cwd=made.root, env=made.env(**env), capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        assert "7 ran" in process.stderr
        digests.append([hashlib.sha256(made.out(path).read_bytes()).digest() for path in ("hello", "foreign")])
    assert digests[0] == digests[1]
    said = subprocess.run([made.out("hello")], capture_output=True, text=True, check=True).stdout
    assert said == "hello from greeting.c\n"
    assert made.out("foreign").read_bytes()[18:20] == b"\xb7\x00"  # EM_AARCH64
