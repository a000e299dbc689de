"""Mistakes of people: all of them at once, with file, line and remedy."""

import pytest


def test_three_mistakes_in_one_file_are_reported_together(project):
    it = project(
        {
            "Builderfile": """
            [target.app]
            type = "executable"
            language = "c"
            sources = ["mian.c"]
            flagz = ["-O2"]

            [target.lib]
            type = "libary"
            language = "c"
            """,
            "main.c": "int main(void) { return 0; }\n",
        }
    )
    built = it.build()
    assert built.exit_code == 2
    assert 'no source "mian.c"' in built.stderr and 'did you mean "main.c"' in built.stderr
    assert "flagz" in built.stderr and '"flags"' in built.stderr
    assert "libary" in built.stderr and '"library"' in built.stderr
    assert len(built.of("error")) == 3


def test_a_cycle_of_five_across_packages_is_printed(project):
    files = {"Builderfile": ""}
    for index in range(5):
        files[f"p{index}/Builderfile"] = f"""
            [target.t]
            type = "library"
            language = "c"
            sources = ["t.c"]
            deps = ["//p{(index + 1) % 5}:t"]
            visibility = "public"
            """
        files[f"p{index}/t.c"] = "int x;\n"
    built = project(files).build()
    assert built.exit_code == 2
    assert "in a cycle" in built.stderr
    positions = [built.stderr.index(f"-> //p{index}:t") for index in (1, 2, 3, 4, 0)]
    assert positions == sorted(positions), built.stderr


def test_missing_deps_and_invisible_ones(project):
    it = project(
        {
            "Builderfile": """
            [target.app]
            type = "executable"
            language = "c"
            sources = ["main.c"]
            deps = ["//lib:gret", "//lib:greet", "//libb:greet"]
            """,
            "main.c": "int main(void) { return 0; }\n",
            "lib/Builderfile": '[target.greet]\ntype = "library"\nlanguage = "c"\nsources = ["g.c"]\n',
            "lib/g.c": "int g;\n",
        }
    )
    built = it.build()
    assert built.exit_code == 2
    assert 'no target "gret" in "//lib"' in built.stderr and '"greet"' in built.stderr
    assert '"//lib:greet" is not visible from "//"' in built.stderr
    assert 'no package "//libb"' in built.stderr
    assert "Builderfile:8:" in built.stderr, built.stderr


def test_two_targets_with_one_output(project):
    it = project(
        {
            "Builderfile": """
            [target.one]
            type = "command"
            outputs = ["out"]
            command = "echo 1 > $OUT"

            [target.two]
            type = "command"
            outputs = ["out"]
            command = "echo 2 > $OUT"
            """
        }
    )
    built = it.build()
    assert built.exit_code == 2
    assert 'the output "out" is made by "//:one" too' in built.stderr


@pytest.mark.parametrize("first", ["x", "y"])
def test_an_output_inside_another_ones_directory(project, first):
    """Whichever of the two is analysed first."""
    outputs = {"x": "d/deep/file", "y": "d/"}
    tables = [
        f'[target.{name}]\ntype = "command"\noutputs = ["{outputs[name]}"]\ncommand = "true"\n'
        for name in sorted(outputs, reverse=first == "y")
    ]
    tables[1] += f'deps = [":{first}"]\n'
    built = project({"Builderfile": "".join(tables)}).build()
    assert built.exit_code == 2
    assert 'the output "d/deep/file" lies inside the output "d"' in built.stderr, built


@pytest.mark.parametrize("path", [".lock", ".bldr-work", ".bldr-work/f"])
def test_an_output_where_bldr_works_itself(project, path):
    it = project({"Builderfile": f'[target.one]\ntype = "command"\noutputs = ["{path}"]\ncommand = "echo > $OUT"\n'})
    built = it.build()
    assert built.exit_code == 2
    assert f'the output "{path}" has a place that bldr keeps for itself' in built.stderr


def test_an_output_with_the_path_of_a_source(project):
    it = project(
        {
            "Builderfile": '[target.one]\ntype = "command"\noutputs = ["in.txt"]\ncommand = "echo > $OUT"\n',
            "in.txt": "",
        }
    )
    built = it.build()
    assert built.exit_code == 2
    assert "has the path of a source file" in built.stderr


def test_a_pattern_that_matches_nothing(c_project):
    built = c_project.build("//lib:gret")
    assert built.exit_code == 2
    assert 'no target "//lib:gret"' in built.stderr and "//lib:greet" in built.stderr
    assert c_project.build("//nothing/...").exit_code == 2


def test_outside_a_workspace(project, tmp_path):
    it = project({"Builderfile": ""})
    (tmp_path / "elsewhere").mkdir()
    built = it.bldr("build", cwd=tmp_path / "elsewhere")
    assert built.exit_code == 2
    assert "bldr init" in built.stderr


def test_compiler_errors_are_shown_and_others_go_on(c_project):
    c_project.write({"lib/greet.c": "int greet(void) { return missing; }\n"})
    built = c_project.build("-k")
    assert built.exit_code == 1
    assert "missing" in built.stderr and "lib/greet.c" in built.stderr
    assert "Compile //:app" in built.ran
    c_project.write({"lib/greet.c": "int greet(void) { return 0; }\n"})
    assert c_project.build().exit_code == 0


def test_an_undeclared_header_is_named_with_its_owner_and_the_line_to_change(project):
    it = project(
        {
            "Builderfile": """
            [target.app]
            type = "executable"
            language = "c"
            sources = ["main.c"]
            """,
            "main.c": '#include "lib/greet.h"\nint main(void) { return 0; }\n',
            "lib/Builderfile": """
            [target.greet]
            type = "library"
            language = "c"
            sources = ["greet.c"]
            headers = ["greet.h"]
            visibility = "public"
            """,
            "lib/greet.h": "",
            "lib/greet.c": "int g;\n",
            "own.txt": "x\n",
        }
    )
    built = it.build("//:app")
    assert 'it tried to read "lib/greet.h", which belongs to "//lib:greet"' in built.stderr, built
    assert 'add "//lib:greet" to its deps (Builderfile:4)' in built.stderr
    it.write({"lib/Builderfile": '[target.c]\ntype = "command"\noutputs = ["o"]\ncommand = "cat lib/own.txt > $OUT"\n'})
    it.write({"lib/own.txt": "x\n"})
    built = it.build("//lib:c")
    assert 'it tried to read "lib/own.txt", which it does not declare: add "own.txt" to its sources' in built.stderr


def test_an_undeclared_output_is_named_with_the_target_that_makes_it(project):
    it = project(
        {
            "Builderfile": """
            [target.version]
            type = "command"
            outputs = ["version.h"]
            command = "echo > $OUT"

            [target.app]
            type = "executable"
            language = "c"
            sources = ["main.c"]
            """,
            "main.c": '#include "version.h"\nint main(void) { return 0; }\n',
        }
    )
    built = it.build("-k")
    assert 'which "//:version" makes: add "//:version" to its headers (Builderfile:9)' in built.stderr, built


def test_an_unknown_toolchain_is_a_mistake_of_its_target_beside_others(project):
    it = project(
        {
            "Builderfile": """
            [target.j]
            type = "command"
            outputs = ["o"]
            command = "true"
            toolchains = ["nope"]

            [target.k]
            type = "command"
            outputs = ["p"]
            command = "true"
            env = { BLDR_ROOT = "/z" }

            [target.t]
            type = "test"
            language = "shell"
            sources = ["t.sh"]
            toolchains = ["never"]
            """,
            "t.sh": "true\n",
        }
    )
    built = it.build()
    assert built.exit_code == 2
    assert 'target "//:t": no plugin knows the toolchain "never"' in built.stderr
    assert 'target "//:j": no plugin knows the toolchain "nope"' in built.stderr
    assert 'target "//:k": BLDR_ROOT is set by bldr' in built.stderr


def test_a_failure_is_the_reason_to_run_again(project):
    it = project({"Builderfile": '[target.t]\ntype = "command"\noutputs = ["o"]\ncommand = "exit 3"\n'})
    it.build()
    told = it.bldr("explain", "--hermetic", "//:t").stdout
    assert "it failed when it last ran (the command failed with exit code 3)" in told


def test_run_takes_one_target(c_project):
    ran = c_project.bldr("run", "//...")
    assert ran.exit_code == 2
    assert "one target can be run, and these are 3" in ran.stderr


def test_a_builderfile_without_a_workspace_is_not_to_be_replaced(project, tmp_path):
    it = project({"Builderfile": ""})
    (it.root / "Builderfile").write_text("")
    built = it.build()
    assert built.exit_code == 2
    assert f"add [workspace] with a name to {it.root}/Builderfile" in built.stderr


def test_a_report_that_cannot_be_written_is_said_before_anything_runs(c_project):
    for path in (".", "no/such/directory/x.xml"):
        tested = c_project.bldr("test", "--hermetic", "--junit", path)
        assert tested.exit_code == 2, tested
        assert "cannot write test results to" in tested.stderr
        assert not tested.ran


def test_standard_output_that_is_full(c_project):
    import subprocess

    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            c_project.command("query", "//..."),
            cwd=c_project.root,
            env=c_project.env(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 6
    assert "cannot write to standard output" in ran.stderr


def test_what_needs_no_builderfile_is_not_held_up_by_a_mistake_in_one(project):
    """Outputs are removed; damaged blobs are not, before somebody is told of them."""
    made = project({"Builderfile": '[target.x]\ntype = "command"\noutputs = ["x"]\ncommand = "echo 1 > $OUT"\n'})
    assert made.build("//...").exit_code == 0
    (blob,) = [path for path in (made.cache / "v1/blobs").glob("*/*") if path.read_bytes() == b"1\n"]
    blob.chmod(0o600)
    blob.write_bytes(b"2\n")
    blob.chmod(0o444)
    right = made.read("Builderfile")
    (made.root / "Builderfile").write_text(right + "[external.y]\nurl = 1\n")
    assert made.bldr("verify").exit_code == 2
    assert blob.exists()
    assert made.bldr("clean").exit_code == 0
    assert not made.out("x").exists()
    (made.root / "Builderfile").write_text(right)
    told = made.bldr("verify")
    assert (told.exit_code, told.stdout.count("was damaged, and is removed")) == (6, 1), told
    assert not blob.exists()
