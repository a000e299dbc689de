"""After an edit only what it reaches is looked at, and everything comes out as the whole build would have made it."""

import os
import random
import shutil
import sys

import pytest

from bldr.snapshot import check

LAYERS = """
[workspace]
name = "layers"
"""


def graph(project, width=4, depth=4):
    """A mesh: every target reads a source of its own, and two of the layer below."""
    tables = [LAYERS]
    for layer in range(depth):
        for number in range(width):
            deps = [f'":t{layer - 1}-{(number + more) % width}"' for more in (0, 1)] if layer else []
            name = f"t{layer}-{number}"
            made = [f"t{layer - 1}-{(number + more) % width}.out" for more in (0, 1)] if layer else []
            # the first line alone goes on, so that some edits reach no further
            command = f"head -qn1 {name}.txt {' '.join(made)} > {name}.out"
            tables.append(
                f'[target.{name}]\ntype = "command"\nsources = ["{name}.txt"]\ndeps = [{", ".join(deps)}]\n'
                f'outputs = ["{name}.out"]\ncommand = "{command}"\n'
            )
            project.write(f"{name}.txt", f"{name}\nrest\n")
    project.write("Builderfile", "\n".join(tables))
    return [f"t{layer}-{number}.txt" for layer in range(depth) for number in range(width)]


def outputs(project):
    top = project.root / "bldr-out"
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if name != ".lock":
                with open(path, "rb") as file:
                    found[os.path.relpath(path, top)] = (file.read(), os.fstat(file.fileno()).st_mode)
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in (1, 2, 3))])
def test_random_edits_come_out_as_in_a_whole_build(project, seed):
    """The same edits in two workspaces with two caches, one of which never uses a snapshot."""
    chance = random.Random(seed)
    sources = graph(project)
    project.until_quick()
    other = project.beside("other")
    for step in range(12):
        for name in chance.sample(sources, chance.randint(1, 3)):
            text = project.read(name)
            kind = chance.choice(("first", "rest", "same", "mode", "back"))
            text = {"first": f"{step}\n{text}", "rest": f"{text}{step}\n", "back": f"{name}\nrest\n"}.get(kind, text)
            for place in (project, other):
                place.write(name, text)
                if kind == "mode":
                    (place.root / name).chmod(0o755 if step % 2 else 0o644)
        if chance.random() < 0.5:
            project.settle()
        ran, whole = project.build(), other.build(BLDR_SNAPSHOT="off")
        assert (ran.exit_code, ran.counts) == (whole.exit_code, whole.counts), (step, ran)
        assert ran.edited or ran.quick, ran
        assert outputs(project) == outputs(other)
    null = project.build()
    assert null.counts == other.build(BLDR_SNAPSHOT="off").counts
    assert not null.edited


def test_what_it_built_is_known_to_every_other_command(project):
    """Results, records and reasons are kept as ever: a whole build afterwards has nothing to do."""
    graph(project)
    project.until_quick()
    project.write("t3-0.txt", "new\n")
    assert project.build().edited
    whole = project.build(BLDR_SNAPSHOT="off")
    assert whole.counts == "done: 0 ran, 16 cached"
    assert "t3-0.txt" in project.bldr("log", "//:t3-0").stdout


def test_a_failure_is_told_as_ever_and_mended_quickly(project):
    project.until_quick()
    project.write("Builderfile", project.read("Builderfile").replace("cat $SRCS one.out", "grep -v BAD $SRCS"))
    project.until_quick()
    project.write("two.txt", "BAD\n")
    ran = project.build()
    whole = project.build(BLDR_SNAPSHOT="off")
    assert ran.edited
    assert (ran.exit_code, ran.without_times) == (whole.exit_code, whole.without_times)
    assert ran.exit_code == 1
    project.write("two.txt", "good\n")
    mended = project.build()
    assert mended.edited
    assert mended.counts == "done: 1 ran, 1 cached"
    assert "good" in project.read("bldr-out/two.out")


def test_a_hint_about_an_undeclared_input_is_given_as_ever(project):
    project.write("Builderfile", project.read("Builderfile").replace("cat $SRCS one.out", "sh $SRCS"))
    project.write("two.txt", "echo two\n")
    project.write("three.txt", "three\n")
    project.until_quick()
    project.write("two.txt", "cat three.txt\n")
    ran = project.build()
    assert ran.edited
    assert ran.without_times == project.build(BLDR_SNAPSHOT="off").without_times


def test_an_output_that_was_edited_as_well(project):
    project.until_quick()
    project.write("two.txt", "new\n")
    (project.root / "bldr-out/one.out").write_text("broken")
    ran = project.build()
    assert not ran.edited
    assert project.read("bldr-out/one.out") == "a\nb\n"
    assert project.read("bldr-out/two.out").startswith("new\na\nb\n")


def test_an_editor_that_renames(project):
    """A new file under the old name: the directory has another time, and the same names."""
    project.until_quick()
    project.write("two.txt.new", "new\n")
    os.rename(project.root / "two.txt.new", project.root / "two.txt")
    assert project.build().edited
    project.until_quick()
    assert project.read("bldr-out/two.out").startswith("new\n")


def test_a_directory_output_with_other_names(project):
    project.write(
        "Builderfile",
        """
[workspace]
name = "demo"

[target.names]
type = "command"
sources = ["names.txt"]
outputs = ["names/"]
command = "mkdir $BLDR_ROOT/names; for name in $(cat $SRCS); do echo $name > $BLDR_ROOT/names/$name; done"
""",
    )
    project.write("names.txt", "a b")
    project.until_quick()
    for names in ("b c", "c", "a b c"):
        project.write("names.txt", names)
        assert project.build().exit_code == 0
        assert sorted(os.listdir(project.root / "bldr-out/names")) == names.split()
        assert project.build().counts == "done: 0 ran, 1 cached"
    (project.root / "bldr-out/names/stranger").write_text("")
    project.build()
    assert sorted(os.listdir(project.root / "bldr-out/names")) == ["a", "b", "c"]


def test_a_lost_result_is_made_again(project):
    """Actions that no edit reaches are not looked at; those that it reaches need their inputs whole."""
    project.until_quick()
    project.write("src/a.txt", "new\n")
    assert project.build().edited
    shutil.rmtree(project.root / "bldr-out/sub")
    assert project.build().exit_code == 0
    assert project.read("bldr-out/sub/more/x") == "x\n"


@pytest.mark.parametrize("damage", ["torn", "gone", "another's"])
@pytest.mark.parametrize("suffix", [".actions", ".since"])
def test_damaged_companions(project, damage, suffix):
    project.until_quick()
    project.write("two.txt", "first\n")
    project.build()
    (snapshot,) = project.snapshots()
    path = snapshot.with_name(snapshot.name + suffix)
    data = path.read_bytes()
    project.write("two.txt", "second\n")
    if damage == "gone":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(data[: len(data) - 7])
    else:
        from bldr.snapshot import files

        other = files.read(str(path), str(project.cache))
        files.write(str(path), {**other.head, "base": b"x" * 16}, [bytes(part) for part in other.parts])
    assert project.build().counts == "done: 1 ran, 1 cached"
    assert project.read("bldr-out/two.out").startswith("second\n")
    project.write("two.txt", "first\n")
    assert project.build().counts == "done: 0 ran, 2 cached"
    assert project.read("bldr-out/two.out").startswith("first\n")


def test_the_launcher_is_begun_before_anything_is_imported_that_takes_time(project):
    """Where there is one: a platform without namespaces has nothing to begin."""
    project.until_quick()
    project.write("two.txt", "three\n")
    ran = project.build()
    assert ran.edited, ran
    is_early = "bldr_linux.spawn" in ran.imported[: ran.imported.index("msgspec")]
    assert is_early == ("bldr_linux.client" in ran.modules)
    assert ran.begun_for_nothing == 0


def test_what_no_edit_needs_is_not_imported(project):
    project.until_quick()
    project.write("two.txt", "three\n")
    ran = project.build()
    assert ran.edited, ran
    assert not ran.modules & {
        "argparse",
        "gettext",
        "inspect",
        "platform",
        "pluggy",
        "typing_extensions",
        "bldr.store.gc",
    }


@pytest.mark.parametrize("text", [None, "", "get_ready = None", "raise RuntimeError", "nonsense!"])
def test_a_launcher_that_cannot_be_begun_is_none(text, tmp_path, monkeypatch):
    if text is not None:
        (tmp_path / "begun_early.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "begun_early", raising=False)
    check._get_ready("begun_early")
