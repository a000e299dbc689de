"""Log text: nothing in it can act on a terminal, nothing in it is hidden, and long logs say where the whole is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.report.text import count, duration, excerpt, sanitize, size

HOSTILE = {
    "colour": (b"\x1b[1;31mred\x1b[0m", "red"),
    "title by OSC and BEL": (b"\x1b]0;owned\x07text", "text"),
    "hyperlink by OSC 8": (b"\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\", "click"),
    "clipboard by OSC 52": (b"\x1b]52;c;cm0gLXJm\x07after", "after"),
    "OSC without an end keeps what follows": (b"\x1b]0;never ended\nnext line", "0;never ended\nnext line"),
    "device control string": (b"\x1bPq#0\x1b\\text", "text"),
    "application program command": (b"\x1b_Gpayload\x1b\\text", "text"),
    "cursor up and clear line": (b"one\n\x1b[1A\x1b[2Ktwo", "one\ntwo"),
    "CSI without an end loses its introducer": (b"\x1b[31", "31"),
    "character set": (b"\x1b(0lqqk\x1b(B", "lqqk"),
    "reset": (b"\x1bcfresh", "fresh"),
    "CSI of C1": ("\x9b31mred".encode(), "red"),
    "OSC of C1": ("\x9d0;title\x9ctext".encode(), "text"),
    "bare bytes of C1 are not UTF-8": (b"a\x9b31mb", "a\ufffd31mb"),
    "overwriting a line": (b"error: bad\rall is well\n", "error: bad\nall is well\n"),
    "line ends of another system": (b"one\r\ntwo\r\n", "one\ntwo\n"),
    "several returns before a line end": (b"one\r\r\ntwo", "one\ntwo"),
    "backspaces": (b"bad\b\b\bgood", "badgood"),
    "bell, null, delete": (b"a\x07b\x00c\x7fd", "abcd"),
    "tabs and newlines stay": (b"a\tb\n", "a\tb\n"),
    "right-to-left override": ("safe\u202etxt.exe".encode(), "safe<U+202E>txt.exe"),
    "escape inside an escape": (b"\x1b\x1b[31mx", "x"),
    "what is left after stripping cannot join into a sequence": (b"\x1b\x07[31mred", "[31mred"),
    "other alphabets stay": ("naïve 日本 🙂".encode(), "naïve 日本 🙂"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_logs(name):
    raw, shown = HOSTILE[name]
    assert sanitize(raw) == shown


ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.binary() | st.text(st.sampled_from("\x1b\x9b\x9d\\]P[0;mA\x07\r\n\b\u202e日")).map(str.encode))
def test_nothing_active_is_left_and_sanitising_twice_changes_nothing(raw):
    shown = sanitize(raw)
    assert not ACTIVE.search(shown)
    assert sanitize(shown) == shown


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\t")))
def test_plain_text_is_left_alone(text):
    assert sanitize(text) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", [b"\x1b]", b"\x1b[0", b"\x1b[0;", b"\x1b ", b"\x1b]0;a", b"\r", b"\x1bP"])
def test_a_megabyte_of_beginnings_without_ends_is_scanned_once(piece):
    # One step for each byte is over at once, one for each pair of bytes would take hours.
    assert not ACTIVE.search(sanitize(piece * ((1 << 20) // len(piece))))


def test_a_short_log_is_shown_whole(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo")
    assert excerpt(str(path)) == ("one\ntwo\n", 0)


def test_an_empty_log_shows_nothing(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"")
    assert excerpt(str(path)) == ("", 0)


def test_a_long_log_shows_beginning_and_end_and_where_the_whole_is(tmp_path):
    path = tmp_path / "log"
    lines = [f"line {number:06d}\n" for number in range(1000)]
    path.write_text("".join(lines))
    text, left_out_bytes = excerpt(str(path), shown_bytes=1200)
    shown = text.splitlines(keepends=True)
    middle = next(index for index, line in enumerate(shown) if line.startswith("..."))
    assert shown[:middle] == lines[:middle]
    rest = shown[middle + 1 :]
    assert rest == lines[-len(rest) :]
    assert shown[middle] == f"... {size(left_out_bytes)} left out, the whole log is {path}\n"
    assert left_out_bytes == 12_000 - sum(map(len, shown[:middle])) - sum(map(len, rest))
    assert sum(map(len, rest)) > sum(map(len, shown[:middle]))


def test_a_long_log_of_one_line_is_cut_all_the_same(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10_000)
    text, left_out_bytes = excerpt(str(path), shown_bytes=1000)
    assert left_out_bytes == 9000
    assert len(text) < 1200


def test_a_log_that_is_gone_is_said_to_be_gone(tmp_path):
    assert "cannot be read: No such file" in excerpt(str(tmp_path / "none")).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.04, "0.0s"),
        (12.34, "12.3s"),
        (59.94, "59.9s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m"),
        (7325, "2h 02m"),
        (-1, "0.0s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes(number, text):
    assert size(number) == text


def test_counts():
    assert [count(number, "action") for number in (0, 1, 2)] == ["0 actions", "1 action", "2 actions"]
