"""`--config`: what is built, where it stands, and that no configuration disturbs another."""

import subprocess

import pytest

FILES = {
    "Builderfile": """
        [config.loud]
        extends = "debug"
        flags = { c = ["-DLOUD"] }
        env = { GREETING = "hey" }

        [target.word]
        type = "command"
        outputs = ["word.h"]
        command = "echo \\"#define WORD \\\\\\"${GREETING-hello}\\\\\\"\\" > $OUT"

        [target.app]
        type = "executable"
        language = "c"
        sources = ["app.c"]
        headers = [":word"]

        [target.app_test]
        type = "test"
        language = "c"
        sources = ["test.c"]
    """,
    "app.c": """
        #include <stdio.h>
        #include "word.h"
        #ifdef NDEBUG
        #define MODE "release"
        #else
        #define MODE "checked"
        #endif
        #ifdef LOUD
        #define MARK "!"
        #else
        #define MARK "."
        #endif
        int main(void) { puts(WORD " " MODE MARK); return 0; }
    """,
    "test.c": """
        #include <stdlib.h>
        #include <string.h>
        int main(void) { const char *word = getenv("GREETING"); return word && strcmp(word, "hey") == 0 ? 0 : 1; }
    """,
}
APP = "//:app"
PRINTS = {"": "hello checked.", "debug": "hello checked.", "release": "hello release.", "loud": "hey checked!"}


def config(name):
    return ("--config", name) if name else ()


def printed(project, name):
    return subprocess.check_output([project.out(f".{name}/app" if name else "app")], text=True).strip()


def test_each_configuration_has_outputs_and_results_of_its_own(project):
    project = project(FILES)
    for name in PRINTS:
        built = project.bldr("build", APP, *config(name))
        assert built.exit_code == 0, built
        assert f"Link {APP}" in built.ran
    assert {name: printed(project, name) for name in PRINTS} == PRINTS
    for name in (*PRINTS, *reversed(PRINTS)):
        again = project.bldr("build", APP, *config(name))
        assert (again.exit_code, again.ran) == (0, []), again
    # the same, where nothing but snapshots is asked: what each says it says of its own outputs
    for name in ("release", ""):
        assert "0 ran, 3 cached" in quick(project, "build", APP, *config(name))
    project.out(".release/app").unlink()
    assert "0 ran, 3 cached" in quick(project, "build", APP)
    assert not project.out(".release/app").exists()
    assert "0 ran, 3 cached" in quick(project, "build", APP, "--config", "release")
    assert {name: printed(project, name) for name in PRINTS} == PRINTS


def quick(project, *words):
    """A build without event files, which snapshots may answer."""
    command = project.command(*words)
    done = subprocess.run(command, cwd=project.root, env=project.env(), capture_output=True, text=True, check=True)
    return done.stderr


def test_an_edit_reaches_the_configuration_that_is_built(project):
    project = project(FILES)
    for name in ("", "release"):
        quick(project, "build", APP, *config(name))
        quick(project, "build", APP, *config(name))
    (project.root / "app.c").write_text(project.read("app.c").replace("puts(WORD", 'puts("new " WORD'))
    assert "2 ran, 1 cached" in quick(project, "build", APP, "--config", "release")
    assert (printed(project, ""), printed(project, "release")) == ("hello checked.", "new hello release.")
    assert "2 ran, 1 cached" in quick(project, "build", APP)
    assert (printed(project, ""), printed(project, "release")) == ("new hello checked.", "new hello release.")


def test_every_command_knows_the_configuration(project):
    project = project(FILES)
    ran = project.bldr("run", "--config", "loud", APP)
    assert (ran.exit_code, ran.stdout) == (0, "hey checked!\n")
    assert "app.c.o, which must be made again" in project.bldr("explain", APP).stdout
    assert "up to date; it last ran because" in project.bldr("explain", "--config", "loud", APP).stdout
    assert project.bldr("log", APP).stdout == ""
    assert "-DLOUD" in project.bldr("log", "--config", "loud", APP).stdout
    assert "GREETING=hey" in project.bldr("log", "--config", "loud", "//:word").stdout
    entered = project.bldr("shell", "--config", "loud", "//:word", stdin="echo $GREETING\n")
    assert (entered.exit_code, entered.stdout) == (0, "hey\n")
    assert project.bldr("test", "//:app_test").exit_code == 3
    assert project.bldr("test", "--config", "loud", "//:app_test").exit_code == 0
    assert project.bldr("test", "//:app_test", env={"BUILDER_CONFIG": "loud"}).exit_code == 0
    assert project.bldr("test", "--config", "default", "//:app_test", env={"BUILDER_CONFIG": "loud"}).exit_code == 3
    project.bldr("build", APP)
    project.bldr("clean", "--config", "loud")
    assert (project.out("app").exists(), project.out(".loud").exists()) == (True, False)
    project.bldr("build", "--config", "loud", APP)
    project.bldr("clean")
    assert not project.out("app").exists()
    assert not project.out(".loud").exists()


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (("--config", "lod"), {}, 'error: there is no configuration "lod"\nhint: did you mean "loud"?\n'),
        ((), {"BUILDER_CONFIG": "x"}, "hint: the configurations are: debug, loud, release\n"),
        (("--config", ""), {}, "error: --config names no configuration\n"),
    ],
)
def test_one_that_does_not_exist_is_refused(project, words, env, said):
    for command in ("build", "explain", "log", "clean"):
        done = (made := project(FILES, name=command)).bldr(
            command, *words, *(() if command == "clean" else (APP,)), env=env
        )
        assert done.exit_code == 2
        assert said in done.stderr
        assert not made.out("app").exists()


def test_no_output_lies_where_a_configuration_has_its_own(project):
    target = '[target.x]\ntype = "command"\noutputs = [".Release/x"]\ncommand = "echo > $OUT"\n'
    done = project({"Builderfile": target}).bldr("build", "//:x")
    assert done.exit_code == 2
    assert 'the output ".Release/x" has a place that bldr keeps for itself' in done.stderr


def test_a_link_in_the_place_of_a_configuration_s_folder_is_not_followed(project, tmp_path):
    project = project(FILES)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.out("").mkdir()
    project.out(".release").symlink_to(elsewhere)
    done = project.bldr("build", "--config", "release", APP)
    assert done.exit_code == 1, done
    assert list(elsewhere.iterdir()) == []
