"""What tests print is told as it comes: lines, beginnings of lines, and nothing that could be half a sequence."""

from types import SimpleNamespace

import pytest

from bldr.execute.following import Following


@pytest.fixture
def log(tmp_path):
    """Write to a log that is followed; gives what is told of it."""
    path = tmp_path / "log"
    path.touch()
    told = []
    following = Following(lambda event: told.append(event.text))
    work = SimpleNamespace(node=SimpleNamespace(index=1, label="//:t", test=object()))
    following.begin(work, str(path))

    def write(data, *, is_last=False):
        told.clear()
        with path.open("ab") as file:
            file.write(data)
        if is_last:
            path.rename(tmp_path / "taken")
            following.end(work)
        else:
            following.tick()
        return "".join(told)

    yield write
    following.close()


def test_lines_and_their_beginnings_come_at_once(log):
    assert log(b"one\ntw") == "one\ntw"
    assert log(b"") == ""
    assert log(b"o\n") == "o\n"


def test_characters_and_sequences_are_told_whole_or_not(log):
    assert log("ü".encode()[:1]) == ""
    assert log("ü".encode()[1:] + b" \x1b[3") == ""
    assert log(b"1mred\x1b[0m\n") == "ü red\n"
    assert log(b"10%\r") == ""
    assert log(b"\nnext\n") == "10%\nnext\n"
    assert log(b"\x1b]0;title") == ""
    assert log(b"\x07end", is_last=True) == "end"


def test_the_rest_is_told_when_the_log_was_taken_away(log):
    assert log(b"begin ") == "begin "
    assert log(b"end \xff", is_last=True) == "end \ufffd"
