"""Command lines, split again by the documented rules of CommandLineToArgvW, written here a second time."""

import ntpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bldr_windows.command_line import MOST_CHARACTERS, command_line, find_program, is_batch


def split(line):
    """CommandLineToArgvW, from its documentation.

    The program's name ends at the next quote where it begins with one, else at white space. After it: 2n backslashes
    and a quote are n backslashes, and the quote begins or ends quoted text; 2n+1 backslashes and a quote are n
    backslashes and a quote that is text; backslashes before anything else are themselves.
    """
    if line.startswith('"'):
        program, _, rest = line[1:].partition('"')
    else:
        program, _, rest = line.partition(" ")
    words, at = [program], 0
    while True:
        while at < len(rest) and rest[at] in " \t":
            at += 1
        if at == len(rest):
            return words
        word, is_quoted = "", False
        while at < len(rest) and (is_quoted or rest[at] not in " \t"):
            slashes = 0
            while at < len(rest) and rest[at] == "\\":
                slashes, at = slashes + 1, at + 1
            if at < len(rest) and rest[at] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                else:
                    is_quoted = not is_quoted
                at += 1
                continue
            word += "\\" * slashes
            if at < len(rest) and (is_quoted or rest[at] not in " \t"):
                word, at = word + rest[at], at + 1
        words.append(word)


def test_the_rules_are_those_of_the_documentation():
    """Its own examples."""
    assert split(r'p "abc" d e') == ["p", "abc", "d", "e"]
    assert split(r'p a\\b d"e f"g h') == ["p", r"a\\b", "de fg", "h"]
    assert split(r"p a\\\"b c d") == ["p", r"a\"b", "c", "d"]
    assert split(r'p a\\\\"b c" d e') == ["p", r"a\\b c", "d", "e"]


words = st.text(st.sampled_from("ab \t\"\\/\n%^&|<>*?=;'ü"), max_size=12)


@given(st.lists(words, max_size=5))
@example(["", " ", '"', "\\", '\\"', '\\\\"', "a\\ ", "a b\\\\", '"\\'])
def test_words_come_out_as_they_went_in(rest):
    argv = ["C:\\Program Files\\a\\b.exe", *rest]
    assert split(command_line(argv)) == argv


@given(st.lists(st.text(max_size=8).filter(lambda word: "\0" not in word), max_size=4))
def test_any_text_is_a_word(rest):
    assert split(command_line(["p.exe", *rest])) == ["p.exe", *rest]


def test_what_no_command_line_holds_is_refused():
    for argv in (['say"hi"'], ["p", "a\0b"], ["p", "a" * MOST_CHARACTERS]):
        with pytest.raises(ValueError, match="command line"):
            command_line(argv)
    assert len(command_line(["p", "a" * (MOST_CHARACTERS - 4)])) == MOST_CHARACTERS


def test_batch_files_are_known_by_whatever_name_windows_takes_for_theirs():
    assert all(map(is_batch, ("a.bat", "C:\\a.CMD", "a.bat ", "a.bat. .", "a.b.cmd")))
    assert not any(map(is_batch, ("bat", "a.bat.exe", "a.com", "cmd")))


# Finding programs

ENV = {"PATH": 'C:\\one;"C:\\two";relative;;D:\\three', "PATHEXT": ".COM;.EXE"}


def found(name, *files, env=ENV, cwd="C:\\build"):
    there = {path.lower() for path in files}
    return find_program(name, cwd, env, lambda path: path.lower() in there)


def test_a_name_is_looked_for_in_each_directory_with_each_suffix():
    assert found("cc", "C:\\two\\cc.exe", "D:\\three\\cc.com") == "C:\\two\\cc.EXE"
    assert found("cc", "C:\\one\\cc.exe", "C:\\one\\cc.com") == "C:\\one\\cc.COM"
    assert found("cc.exe", "C:\\one\\cc.exe.com", "C:\\two\\cc.exe") == "C:\\one\\cc.exe.COM"
    assert found("cc.exe", "D:\\three\\cc.exe") == "D:\\three\\cc.exe"


def test_a_name_without_a_suffix_that_programs_have_is_no_program():
    with pytest.raises(FileNotFoundError) as raised:
        found("cc", "C:\\one\\cc", "C:\\one\\cc.txt")
    assert raised.value.filename == "cc"


def test_the_current_directory_is_not_searched():
    with pytest.raises(FileNotFoundError):
        found("cc", "C:\\build\\cc.exe", "C:\\build\\relative\\cc.exe", "relative\\cc.exe")


def test_a_path_is_taken_from_where_the_command_starts():
    for name in ("./bin/cc", "bin\\cc", ".\\bin\\cc.exe"):
        assert ntpath.normcase(found(name, "C:\\build\\bin\\cc.exe")) == "c:\\build\\bin\\cc.exe"
    assert found("C:\\tools\\cc.exe", "C:\\tools\\cc.exe") == "C:\\tools\\cc.exe"
    assert found("./words", "C:\\build\\words") == "C:\\build\\words"
