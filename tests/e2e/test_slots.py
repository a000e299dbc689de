"""Actions that need the machine for themselves, or much of it, in whole builds."""

from bldr.execute.history import History
from bldr.execute.slots import MEMORY_WORTH_NOTING_BYTES
from bldr.store.store import open_store

COMMAND = """
[target.{name}]
type = "command"
outputs = ["{name}.out"]
command = "{command}; echo {name} > $OUT"
tags = [{tags}]
"""
TEST = """
[target.{name}]
type = "test"
language = "c"
sources = ["unit.c"]
tags = [{tags}]
"""


def overlaps(ran, label):
    """The labels of actions that ran while the last one of `label` did."""
    spans = {
        event["label"]: (event["started_s"], event["started_s"] + event["duration_s"])
        for event in ran.of("action_finished")
    }
    start, end = spans.pop(label)
    return [other for other, (first, last) in spans.items() if first < end and start < last]


def test_an_exclusive_command_runs_alone(project):
    names = ["a", "b", "c", "d", "e"]
    it = project(
        {
            "Builderfile": "".join(
                COMMAND.format(name=name, command="sleep 0.3", tags='"exclusive"' if name == "c" else "")
                for name in names
            )
        }
    )
    ran = it.build("-j4", "//...")
    assert ran.exit_code == 0, ran
    assert overlaps(ran, "//:c") == []
    assert overlaps(ran, "//:a")


def test_an_exclusive_test_runs_alone(project):
    it = project(
        {
            "Builderfile": TEST.format(name="t", tags='"exclusive"')
            + TEST.format(name="u", tags="")
            + COMMAND.format(name="c", command="sleep 1", tags=""),
            "unit.c": "#include <unistd.h>\nint main(void) { return sleep(1); }\n",
        }
    )
    ran = it.bldr("test", "--hermetic", "-j4", "//...")
    assert ran.exit_code == 0, ran
    assert overlaps(ran, "//:t") == []


def test_what_needs_much_is_remembered(project):
    """`tail` keeps all that it has read, as it cannot know where the end is."""
    much = MEMORY_WORTH_NOTING_BYTES * 2
    hog = f"head -c {much} /dev/zero | tail -c {much} | wc -c"
    it = project(
        {
            "Builderfile": COMMAND.format(name="much", command=hog, tags="")
            + COMMAND.format(name="little", command="true", tags="")
        }
    )
    assert it.build("//...").exit_code == 0
    with open_store(str(it.cache)) as store:
        needs = History(store, str(it.root)).needs
    assert list(needs) == ["much.out"]
    assert needs["much.out"][1] > MEMORY_WORTH_NOTING_BYTES
