"""Actions with many inputs: staged by the compiled loop or by Python, they see the same, and are watched the same."""

import pytest

COUNT = 200


@pytest.fixture(params=("python", "as installed"))
def without(request, tmp_path):
    """The environment in which the compiled loop is not there, or may be."""
    if request.param != "python":
        return {}
    (tmp_path / "without").mkdir()
    (tmp_path / "without/sitecustomize.py").write_text('import sys\n\nsys.modules["bldr.store._links"] = None\n')
    return {"PYTHONPATH": str(tmp_path / "without")}


def files(directory):
    return {f"{directory}/{number:03}": f"{number} of {directory}\n" for number in range(COUNT)}


BUILDERFILE = """
    [target.{name}]
    type = "command"
    sources = ["{name}/*"]
    outputs = ["{name}.out"]
    command = "{command}"
"""


def test_every_action_sees_its_own_files(project, without):
    names = ("one", "two", "three")
    builderfile = "".join(
        BUILDERFILE.format(name=name, command="mkdir -p two; echo more > two/more; cat $SRCS > $OUT") for name in names
    )
    workspace = project({"Builderfile": builderfile, **files("one"), **files("two"), **files("three")})
    (workspace.root / "two/017").chmod(0o755)
    for text in ("17 once\n", "17 again\n"):
        for name in names:
            workspace.write({f"{name}/017": text})
        built = workspace.build("//...", "--jobs", "1", env=without)
        assert built.exit_code == 0, built
        assert len(built.ran) == 3
        for name in names:
            expected = {**files(name), f"{name}/017": text}
            assert workspace.out(f"{name}.out").read_text() == "".join(expected.values())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("rm bad/111", '"bad/111"'),
        ("rm bad/111; echo other > bad/111", '"bad/111"'),
        ("mv -f bad/110 bad/111", '"bad/110", "bad/111"'),
    ],
)
def test_a_changed_input_is_named(project, without, change, named):
    builderfile = BUILDERFILE.format(name="bad", command=f"cat $SRCS > $OUT; {change}")
    built = project({"Builderfile": builderfile, **files("bad")}).build("//...", env=without)
    assert built.exit_code == 1, built
    assert f"changed its own inputs: {named}" in built.messages, built
