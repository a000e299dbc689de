import pytest

from words import count


@pytest.mark.parametrize(
    ("text", "first"),
    [("rain rain go", "rain"), ("c b", "b"), ("go The the the", "go")],
)
def test_what_comes_first(text, first):
    assert count(text)[0].word == first


def test_counts_add_up():
    text = "one two two three three three"
    assert sum(found.times for found in count(text)) == len(text.split())
