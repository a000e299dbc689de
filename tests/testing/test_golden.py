"""Golden keys: written by one option, compared field by field, and clear about what follows from a difference."""

import pytest

from bldr.api import Action, Analysis, Files
from bldr.testing import GoldenKeys, Project, fake_toolchain
from bldr.testing.golden import compared, file_name, keys_of, read, written
from bldr_command.handler import CommandHandler

FILES = {
    "Builderfile": """
        [target.upper]
        type = "command"
        sources = ["words.txt"]
        outputs = ["upper.txt"]
        command = "tr a-z A-Z < words.txt > upper.txt"

        [target.count]
        type = "command"
        sources = [":upper"]
        outputs = ["count.txt"]
        command = "wc -w upper.txt > count.txt"
        env = { ODD = " = [x]\\n\\"y\\" " }
    """,
    "words.txt": "two words\n",
}
SHELL = fake_toolchain("shell", "sh")


@pytest.fixture
def golden(tmp_path):
    """Function: whether to update -> the fixture as a test of that name would get it."""
    return lambda update=False: GoldenKeys(
        tmp_path / "test_it.test_keys.golden", "test_it.py::test_keys", update=update
    )


def complaint(golden, project, *toolchains):
    with pytest.raises(AssertionError) as raised:
        golden(project, *toolchains)
    return str(raised.value)


def test_keys_are_written_once_and_compared_from_then_on(project: Project, golden, monkeypatch):
    project.write(FILES)
    assert "there are no golden keys yet: " in complaint(golden(), project, SHELL)
    golden(update=True)(project, SHELL)
    golden()(project, SHELL)
    text = golden().path.read_text()
    assert "[//:count Command count.txt]\nkey = " in text
    assert "\ninput upper.txt = made by //:upper\n" in text
    assert "\ntoolchain shell = the shell of this machine\n" in text
    assert str(project.root) not in text

    project.edit("words.txt", "two", "too")
    told = complaint(golden(), project, SHELL)
    assert told.startswith("the keys changed:\n    //:upper Command upper.txt\n        words.txt changed\n")
    assert "semantics_version" not in told
    assert told.endswith("    pytest --bldr-update-golden test_it.py::test_keys")
    golden(update=True)(project, SHELL)
    golden()(project, SHELL)


def test_another_command_for_the_same_target_asks_for_another_version(project: Project, golden, monkeypatch):
    golden(update=True)(project.write(FILES), SHELL)

    def analyze(self, attributes, context):
        made = context.declare_file(attributes.outputs[0])
        action = Action(argv=("sh", "-c", "new"), inputs=context.files("sources"), outputs=(made,), mnemonic="Command")
        return Analysis((action,), (Files((made,)),))

    monkeypatch.setattr(CommandHandler, "analyze", analyze)
    told = complaint(golden(), project, SHELL)
    assert "the command line changed: added -c, new, removed -euc" in told.replace("added -c new", "added -c, new")
    assert (
        '\nthe handler "command" of bldr makes something else of the same targets: raise its semantics_version' in told
    )
    monkeypatch.setattr(CommandHandler, "semantics_version", 99)
    told = complaint(golden(), project, SHELL)
    assert 'handler changed from "bldr:command:' in told
    assert "raise its" not in told


def test_actions_come_and_go(project: Project):
    keys = keys_of(project.write(FILES), [SHELL])
    fewer = {name: fields for name, fields in keys.items() if "count" not in name}
    assert compared(keys, fewer) == "the keys changed:\n    //:count Command count.txt is gone"
    assert compared(fewer, keys) == "the keys changed:\n    //:count Command count.txt is new"


def test_every_field_survives_the_file(project: Project):
    keys = keys_of(project.write(FILES), [SHELL])
    assert keys["//:count Command count.txt"]["variable ODD"] == ' = [x]\n"y" '
    assert read(written(keys)) == keys
    odd = {"//:a A a": {"key": "", "": " ", "a = b": "[x]", "# c": '"', "d": "ä\n"}}
    assert read(written(odd)) == odd
    with pytest.raises(ValueError, match="line 2 of the golden keys is damaged: nonsense"):
        read("[//:a A a]\nnonsense\n")


def test_the_fixture_names_a_file_beside_the_test(golden_keys, request):
    assert golden_keys.path == request.path.with_name(f"test_golden.{request.node.name}.golden")
    assert file_name("test_it", "test_keys[a/b c]") == "test_it.test_keys_a_b_c_.golden"
