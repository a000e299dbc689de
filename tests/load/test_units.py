"""Sizes and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.load.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512M", 512 << 20), ("2G", 2 << 30), ("1.5G", 3 << 29), ("1k", 1024), ("3T", 3 << 40), ("7", 7), (7, 7),
        ("1MiB", 1 << 20), ("1MB", 1 << 20), ("10B", 10), (" 4K ", 4096),
    ],
)  # fmt: skip
def test_sizes(text, expected):
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90.0), ("30m", 1800.0), ("1h", 3600.0), ("1h30m", 5400.0), ("2d", 172800.0), ("500ms", 0.5),
        ("1.5h", 5400.0), (60, 60.0), ("1m500ms", 60.5),
    ],
)  # fmt: skip
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "M", "5X", "-1M", "1 M", "1e9", "0x10", "5Mi b", "1,5G", "٣M", "1" * 40])
def test_texts_that_are_no_sizes(text):
    with pytest.raises(ValueError, match='" is not a size: write a number of bytes, or a text such as "512M" or "2G"'):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "90", "1y", "-1s", "1 h", "h", "1e3s", "1s junk", "٣s"])
def test_texts_that_are_no_durations(text):
    with pytest.raises(ValueError, match='" is not a duration: write a number of seconds, or a text such as "90s"'):
        parse_duration(text)


@pytest.mark.parametrize("value", [0, -5, "0", "0M", "0.0001K", 1 << 63, "999999999T"])
def test_sizes_out_of_bounds(value):
    with pytest.raises(ValueError, match="above zero and below 4 EiB"):
        parse_size(value)


@pytest.mark.parametrize("value", [0, -5, "0s", "0ms", 10**400, "999999999d"])
def test_durations_out_of_bounds(value):
    with pytest.raises(ValueError, match="above zero and below ten years"):
        parse_duration(value)


@given(st.integers(1, 1 << 20), st.sampled_from("KMGT"))
def test_a_size_is_a_power_of_1024_times_its_number(number, unit):
    assert parse_size(f"{number}{unit}") == number * 1024 ** ("KMGT".index(unit) + 1)


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_is_refused(text):
    for parse in (parse_size, parse_duration):
        try:
            assert parse(text) > 0
        except ValueError as error:
            assert str(error)  # either way is right: nothing else may be raised
