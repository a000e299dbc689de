from collections import Counter
from importlib.resources import files
from typing import NamedTuple

COMMON = frozenset(files("words").joinpath("common.txt").read_text().split())


class Count(NamedTuple):
    word: str
    times: int


def count(text: str) -> list[Count]:
    """The words of a text, the most frequent first, those that are as frequent by the alphabet."""
    found = Counter(word for word in text.lower().split() if word not in COMMON)
    return sorted((Count(*item) for item in found.items()), key=lambda item: (-item.times, item.word))
