"""Names that strangers chose, as messages show them."""

import sys

from bldr.printable import escaped, shown

HOSTILE = "a\x1b[31mb\nc\r\x9b\x00\u2028\udc80é☃"


def test_a_name_stays_in_its_line():
    assert escaped(HOSTILE) == "a\\x1b[31mb\\nc\\r\\x9b\\x00\\u2028\\udc80é☃"
    assert escaped(HOSTILE).isprintable()


def test_a_message_keeps_its_lines_and_nothing_that_acts_on_a_terminal():
    assert shown(HOSTILE) == "a\\x1b[31mb\nc\\r\\x9b\\x00\u2028\\udc80é☃"
    assert shown("one\n\ttwo") == "one\n\ttwo"


def test_every_control_character_is_escaped():
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))]
    assert all(escaped(control).isprintable() for control in controls)
    assert escaped(text := "".join(map(chr, (*range(0x20, 0x7F), 0x1F600, sys.maxunicode)))) == text
