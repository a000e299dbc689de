"""An ejected action can be run by hand: the same command, environment, inputs and tools, without bldr."""

import pytest

from bldr.api import BldrError
from bldr.testing import Project

FILES = {
    "Builderfile": """
        [target.tool]
        type = "command"
        outputs = ["bin/shout"]
        command = "printf '#!/bin/sh\\ntr a-z A-Z\\n' > $OUT; chmod +x $OUT"
        executable = true

        [target.words]
        type = "command"
        sources = ["words.txt"]
        outputs = ["made/"]
        command = "mkdir -p made; cat words.txt > made/words.txt; ln -s words.txt made/link"

        [target.loud]
        type = "command"
        sources = [":words"]
        tools = [":tool"]
        outputs = ["out/loud.txt"]
        env = { GREETING = "it's me" }
        command = "echo \\"$GREETING from $BLDR_ROOT\\"; shout < made/link > $OUT"
    """,
    "words.txt": "two words\n",
}


def test_an_action_runs_by_hand_with_all_that_it_needs(project: Project):
    ejected = project.write(FILES).eject("//:loud")
    assert not (ejected.tree / "out/loud.txt").exists()
    ran = ejected.run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (ejected.tree / "out/loud.txt").read_text() == "TWO WORDS\n"
    assert (ejected.tree / "made/link").is_symlink()
    assert ejected.name == "Command //:loud"
    assert ejected.env["GREETING"] == "it's me"
    (ejected.tree / "made/words.txt").write_text("other words\n")
    assert ejected.run().returncode == 0
    assert (ejected.tree / "out/loud.txt").read_text() == "OTHER WORDS\n"


def test_the_action_that_failed_is_the_one_to_look_at(project: Project):
    project.write(FILES).edit("Builderfile", "shout < made/link", "shout < made/missing").build().assert_failed(
        "failed"
    )
    ejected = project.eject("Command //:loud")
    ran = ejected.run()
    assert ran.returncode != 0
    assert "made/missing" in ran.stderr


def test_what_cannot_be_ejected_is_named(project: Project):
    project.write(FILES).edit("Builderfile", "cat words.txt", "cat nothing.txt")
    with pytest.raises(BldrError, match=r"made was not made: it failed when it last ran"):
        project.eject("//:loud")
    with pytest.raises(BldrError, match='no action is called "Link //:loud"') as raised:
        project.eject("Link //:loud")
    assert "Command //:loud, Command //:tool" in raised.value.hint
