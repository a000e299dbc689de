"""`bldr init`: from the sources that are there to a Builderfile that builds them."""

import os
import shutil

import pytest
import tomli

MIXED = {
    "include/greet/greet.h": '#pragma once\n#include "detail.h"\nconst char *greet(void);\n',
    "include/greet/detail.h": "#pragma once\n",
    "src/greet.c": '#include "greet/greet.h"\n#include <math.h>\n// int main(void) {}\n'
    'const char *greet(void) { return "int main(void) {"; }\n',
    "hello.c": '#include <stdio.h>\n#include "greet/greet.h"\n'
    "int main(int argc, char **argv) { return !puts(greet()); }\n",
    "tests/test_greet.c": '#include <string.h>\n#include "greet/greet.h"\n'
    'int\nmain(void)\n{ return strcmp(greet(), "int main(void) {"); }\n',
}

WRITTEN = """\
[workspace]
name = "demo"

[target.demo]
type = "library"
language = "c"
sources = ["src/greet.c"]
headers = ["include/greet/detail.h", "include/greet/greet.h"]
include = ["include"]
link_flags = ["-lm"]

[target.hello]
type = "executable"
language = "c"
sources = ["hello.c"]
deps = [":demo"]

[target.test_greet]
type = "test"
language = "c"
sources = ["tests/test_greet.c"]
deps = [":demo"]
"""


def test_a_library_a_program_and_a_test(bldr, workspace):
    root = workspace(MIXED)
    done = bldr("init")
    assert (done.code, done.out) == (0, WRITTEN)
    assert done.err == f"wrote {root / 'Builderfile'}\n"
    assert (root / "Builderfile").read_text() == WRITTEN
    assert sorted(os.listdir(root)) == ["Builderfile", "hello.c", "include", "src", "tests"]


@pytest.mark.full
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_what_was_written_builds_and_passes(bldr, workspace):
    workspace(MIXED)
    assert bldr("init").code == 0
    done = bldr("test")
    assert (done.code, done.out.split()[:2]) == (0, ["//:test_greet", "PASSED"]), done.err


def test_a_file_that_is_there_is_kept_unless_forced(bldr, workspace):
    root = workspace({"Builderfile": "# mine\n", "a.c": "int main(void) {}\n"})
    done = bldr("init")
    assert done.code == 2
    assert "there is a Builderfile already" in done.err and "--force" in done.err
    assert (root / "Builderfile").read_text() == "# mine\n"
    assert bldr("init", "--print").code == 0
    assert (root / "Builderfile").read_text() == "# mine\n"
    assert bldr("init", "--force").code == 0
    assert "[target.a]" in (root / "Builderfile").read_text()


def test_a_package_of_a_workspace_above_gets_no_workspace_of_its_own(bldr, workspace, monkeypatch):
    root = workspace({"Builderfile": '[workspace]\nname = "w"\n', "sub/a.c": "int main(void) { return 0; }\n"})
    monkeypatch.chdir(root / "sub")
    assert bldr("init").out == '[target.a]\ntype = "executable"\nlanguage = "c"\nsources = ["a.c"]\n'


def test_files_of_packages_below_and_of_outputs_are_not_ours(bldr, workspace):
    workspace(
        {
            "a.c": "int main(void) {}\n",
            "below/Builderfile": "",
            "below/b.c": "int main(void) {}\n",
            "bldr-out/c.c": "int main(void) {}\n",
            ".git/d.c": "int main(void) {}\n",
        }
    )
    written = tomli.loads(bldr("init", "--print").out)
    assert list(written["target"]) == ["a"]


def test_programs_alone_need_no_library_and_c_plus_plus_is_seen(bldr, workspace):
    workspace({"tool.cpp": "auto main() -> int { return 0; }\n", "own.h": "", "main.c": "int main() { return 0; }\n"})
    written = tomli.loads(bldr("init", "--print").out)["target"]
    assert written["demo"] == {"type": "library", "language": "c", "headers": ["own.h"]}
    assert written["tool"]["language"] == "c++"
    assert written["main"]["language"] == "c"


def test_names_that_are_taken_become_longer(bldr, workspace):
    workspace(
        {"a/x.c": "int main(void){}", "b/x.c": "int main(void){}", "demo.c": "int main(void){}", "util.c": "int u;"}
    )
    written = tomli.loads(bldr("init", "--print").out)["target"]
    assert list(written) == ["demo_lib", "x", "b_x", "demo"]


def test_hostile_names_are_left_out_and_odd_ones_quoted(bldr, workspace):
    workspace({"odd name.v2.c": "int main(void){}", "gl*b.c": "int main(void){}", 'quo"te\n.c': "int main(void){}"})
    done = bldr("init", "--print")
    written = tomli.loads(done.out)["target"]
    assert written == {"odd_name.v2": {"type": "executable", "language": "c", "sources": ["odd name.v2.c"]}}
    assert "left out 'gl*b.c'" in done.err and "left out 'quo\"te\\n.c'" in done.err


def test_a_directory_without_sources_is_a_workspace_that_can_grow(bldr, workspace):
    workspace({"README": "nothing"})
    assert bldr("init").out == '[workspace]\nname = "demo"\n'
    assert bldr("query").code == 0


def test_long_lists_have_a_line_each(bldr, workspace):
    names = [f"src/a_source_with_a_rather_long_name_{number}.c" for number in range(4)]
    workspace(dict.fromkeys(names, "int x;\n"))
    out = bldr("init", "--print").out
    assert "sources = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n" in out
