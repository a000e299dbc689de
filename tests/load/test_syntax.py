"""What is not a Builderfile at all is refused quickly, at its place, before anything expensive happens to it."""

import os
from types import SimpleNamespace

import pytest

from bldr.api import WorkspaceError
from bldr.load.syntax import DEEPEST, has_workspace_table, parse_source, read_source


def refusal(content):
    with pytest.raises(WorkspaceError) as caught:
        parse_source(content if isinstance(content, bytes) else content.encode(), "Builderfile")
    return str(caught.value)


def file_refusal(path):
    with pytest.raises(WorkspaceError) as caught:
        read_source(os.fspath(path), "Builderfile")
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a = 1\nb = [1, 2\n", "3:1: the Builderfile is not valid TOML: unclosed array"),
        ("a = \n", "1:5: the Builderfile is not valid TOML: invalid value"),
        ("a = 1\na = 2\n", "2:6: the Builderfile is not valid TOML: this key was given before\n"
         "hint: keys and tables may be given once"),
        ("[a.b]\n[a.b]\n", "2:5: the Builderfile is not valid TOML: the table [a.b] is declared twice\n"
         "hint: join the two tables, or rename one"),
        ("[a]\n[a]\n", "2:3: the Builderfile is not valid TOML: the table [a] is declared twice\n"
         "hint: join the two tables, or rename one"),
        ('a = "\x01"', "1:6: the Builderfile is not valid TOML: illegal character '\\x01'"),
        (b"a = 1\nb = '\xc3\xa4\xff'", "2:7: the Builderfile is not text: the byte 0xff is not UTF-8\n"
         "hint: save the file in UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "1:8: the Builderfile is not text: it holds a NUL byte"),
        ("a = [\n" + "[" * 5000, f"2:{DEEPEST}: the Builderfile is nested more than {DEEPEST} levels deep"),
        ("a = " + "{a=" * 5000, f"1:{5 + 3 * DEEPEST}: the Builderfile is nested more than {DEEPEST} levels deep"),
        ("a" + ".a" * 5000 + " = 1", f"1:{2 * DEEPEST + 2}: a key has more than {DEEPEST + 1} parts"),
        ("[a" + ".a" * 5000 + "]", f"1:{2 * DEEPEST + 3}: a key has more than {DEEPEST + 1} parts"),
    ],
)  # fmt: skip
def test_what_is_not_toml_is_refused_at_its_place(content, expected):
    assert refusal(content) == f"Builderfile:{expected}"


def test_a_number_of_a_million_digits_is_refused():
    assert refusal("a = " + "1" * 1_000_000).startswith("Builderfile: the Builderfile is not valid TOML: ")


def test_brackets_and_dots_in_strings_and_comments_are_no_nesting():
    quiet = "[{.," * 100
    text = f'a = "{quiet}"\n'
    text += f"b = '{quiet}'\nc = \"\"\"{quiet}\n\"{quiet}\"\"\"\nd = '''{quiet}\n''{quiet}'''\n# {quiet}\n"
    assert sorted(parse_source(text.encode(), "Builderfile").data) == ["a", "b", "c", "d"]


def test_many_brackets_and_dots_beside_each_other_are_no_nesting():
    text = "a = [" + "[1.5], " * 1000 + "]\n" + "".join(f"b.c.x{number} = 1.5\n" for number in range(1000))
    assert len(parse_source(text.encode(), "Builderfile").data["b"]["c"]) == 1000


def test_strings_that_are_never_closed_take_linear_time():
    for unit in ('"""\\', "'''a", '"', '"""""a', "'", '"\\"'):
        text = unit * ((256 << 10) // len(unit)) + "[.{" * 50
        assert "Builderfile" in refusal(text)


def test_a_gigabyte_is_refused_by_its_size(tmp_path):
    path = tmp_path / "Builderfile"
    path.touch()
    os.truncate(path, 1 << 30)
    assert file_refusal(path) == "Builderfile: the Builderfile is larger than 4 MiB\nhint: split it into packages"


def test_a_file_without_an_honest_size_is_read_no_further_than_the_limit():
    assert file_refusal("/dev/zero") == "Builderfile: the Builderfile is not a regular file"


@pytest.mark.posix("named pipes")
def test_a_pipe_does_not_make_us_wait(tmp_path):
    os.mkfifo(tmp_path / "Builderfile")
    assert file_refusal(tmp_path / "Builderfile") == "Builderfile: the Builderfile is not a regular file"


def test_a_file_that_is_not_there_says_so(tmp_path):
    assert file_refusal(tmp_path / "x") == "Builderfile: the Builderfile cannot be read: no such file or directory"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[workspace]\nname = 'x'\n", True),
        ("workspace.name = 'x'\n", True),
        ("[target.a]\n# [workspace]\n", False),
        ("  [ workspace ]\nname = \n", True),
    ],
)
def test_a_workspace_is_known_by_its_table_even_in_a_broken_file(tmp_path, text, expected):
    path = tmp_path / "Builderfile"
    path.write_text(text)
    assert has_workspace_table(os.fspath(path)) is expected


def test_a_broken_file_that_does_not_look_like_a_root_is_an_error(tmp_path):
    path = tmp_path / "Builderfile"
    path.write_text("[target.a\n")
    with pytest.raises(WorkspaceError, match="not valid TOML"):
        has_workspace_table(os.fspath(path))


PLAIN = "".join(
    f'[target.t{number}]\nsources = ["{number}.c"]\nsize = {number}\nshare = 0.5\nmade = true\n' for number in range(99)
)


@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\r\n"), "\ufeff" + PLAIN])
def test_what_was_parsed_before_is_the_same_without_parsing(text, monkeypatch):
    parsed = {}
    memory = SimpleNamespace(get=parsed.get, put=parsed.__setitem__)
    before = parse_source(text.encode(), "Builderfile", memory)
    monkeypatch.setattr("tomli.loads", lambda text: pytest.fail("it was parsed again"))
    again = parse_source(text.encode(), "pkg/Builderfile", memory)
    assert list(again.data["target"]) == list(before.data["target"])
    assert again.data == before.data
    assert again.place(("target", "t7")) == ("pkg/Builderfile", *before.place(("target", "t7"))[1:])


@pytest.mark.parametrize(
    "line", ["day = 2026-01-01", "at = 12:30:00", "when = 2026-01-01T00:00:00Z", f"big = {1 << 70}", "no = nan"]
)
def test_what_would_not_come_back_as_it_is_is_parsed_every_time(line):
    parsed = {}
    memory = SimpleNamespace(get=parsed.get, put=parsed.__setitem__)
    text = f"{line}\n{PLAIN}".encode()
    kinds = [type(value) for value in parse_source(text, "Builderfile", memory).data.values()]
    assert [type(value) for value in parse_source(text, "Builderfile", memory).data.values()] == kinds


@pytest.mark.parametrize("kept", [b"", b"\xc1", b"\x90", b"\x81\x01\x02"])
def test_what_was_kept_and_is_damaged_is_parsed_again(kept):
    memory = SimpleNamespace(get=lambda key: kept, put=lambda key, value: None)
    assert parse_source(PLAIN.encode(), "Builderfile", memory).data["target"]["t3"]["sources"] == ["3.c"]
