"""Did you mean: the nearest known name to one that does not exist."""

from collections.abc import Iterable


def suggest(word: str, candidates: Iterable[str]) -> str:
    """A hint `did you mean "x"?` for the candidate nearest to `word`, or "" where none is near enough."""
    found = nearest(word, candidates)
    return f'did you mean "{found}"?' if found is not None else ""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely stands for: a slip of the fingers, or an abbreviation of it."""
    lowered = word.lower()
    limit = max(1, len(word) // 3)
    best: tuple[int, str] | None = None
    shortened: tuple[int, str] | None = None
    for candidate in candidates:
        other = candidate.lower()
        # Each edit changes at most two members of the set of letters, so most candidates end here.
        if abs(len(other) - len(lowered)) <= limit and len(set(lowered) ^ set(other)) <= 2 * limit:
            edits = _edits(lowered, other, limit)
            if edits <= limit and edits < max(len(lowered), len(other)):
                best = min(best or (edits, candidate), (edits, candidate))
        if best is None and (_abbreviates(lowered, other) or _abbreviates(other, lowered)):
            difference = (abs(len(other) - len(lowered)), candidate)
            shortened = min(shortened or difference, difference)
    nearest_one = best or shortened
    return nearest_one[1] if nearest_one else None


def _edits(word: str, other: str, limit: int) -> int:
    """Edits between two words, a swap of neighbours counting as one; any number above `limit` means too many.

    The optimal string alignment distance (Damerau 1964), row by row.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(word, 1):
        above, before_above, row = row, before, [index]
        for column, other_letter in enumerate(other, 1):
            cost = min(row[-1] + 1, above[column] + 1, above[column - 1] + (letter != other_letter))
            if index > 1 and column > 1 and letter == other[column - 2] and word[index - 2] == other_letter:
                cost = min(cost, before_above[column - 2] + 1)
            row.append(cost)
        before = above
        if min(row) > limit and (not before or min(before) > limit):
            return limit + 1
    return row[-1]


def _abbreviates(short: str, full: str) -> bool:
    """Whether `short` is a word of `full`, or `full` with letters left out: `srcs` of `sources`."""
    if not 3 <= len(short) <= len(full) <= 3 * len(short):
        return False
    if short in full.split("_"):
        return True
    if short[0] != full[0]:
        return False
    letters = iter(full)
    return all(letter in letters for letter in short)
