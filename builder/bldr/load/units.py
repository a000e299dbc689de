"""Sizes and durations as people write them: "512M", "1.5G", "90s", "1h30m"."""

import re

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_DURATION = re.compile(r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)(d|h|m|s|ms))+")
_DURATION_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|[dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LARGEST_BYTES = 1 << 62
_LONGEST_S = 10 * 366 * 86400.0


def parse_size(value: str | int) -> int:
    """Bytes of "512M" (K, M, G and T are powers of 1024; "MiB" and "MB" mean the same) or of a plain number.

    Raises ValueError with a sentence that says what is wrong.
    """
    if isinstance(value, int):
        size_bytes = value
    else:
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise ValueError(f'"{value}" is not a size: write a number of bytes, or a text such as "512M" or "2G"')
        size_bytes = int(float(match[1]) * (1 << _POWERS[match[2].upper()])) if "." in match[1] else (
            int(match[1]) << _POWERS[match[2].upper()]
        )  # fmt: skip
    if not 0 < size_bytes <= _LARGEST_BYTES:
        raise ValueError(f"a size must be above zero and below 4 EiB, not {_shown(value)}")
    return size_bytes


def parse_duration(value: str | int) -> float:
    """Seconds of "90s", "30m", "1h30m", "2d" or "500ms", or of a plain number.

    Raises ValueError with a sentence that says what is wrong.
    """
    if isinstance(value, int):
        duration_s = float(value) if abs(value) <= _LONGEST_S else _LONGEST_S + 1
    elif _DURATION.fullmatch(value.strip()):
        duration_s = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    else:
        raise ValueError(f'"{value}" is not a duration: write a number of seconds, or a text such as "90s" or "1h30m"')
    if not 0 < duration_s <= _LONGEST_S:
        raise ValueError(f"a duration must be above zero and below ten years, not {_shown(value)}")
    return duration_s


def _shown(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
