"""The light scan for places, against documents whose places are known because the test wrote them."""

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from bldr.load.positions import index_positions
from bldr.load.syntax import parse_source

bare = st.text("abcXYZ019_-", min_size=1, max_size=5)
scalars = st.sampled_from(
    ["1", "-2.5", "true", "1979-05-27 07:32:00", "07:32:00", "0xff", "inf", '"plain"', "'literal'", '""', "''",
     '"""a"""', '"""\n[x]\nk = "v"\n# no comment\n"""', "'''\n]] } \\ '' '''", '"a # b = [c] \\" \\\\"',
     '"""two ""quotes"" inside"""',
     '"""ends in quotes"""""', "'''ends in one''''", '"\\u0041"', '"""\\"""x\\\\"""']
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(bare, inner, max_size=3),
    ),
    max_leaves=5,
)
tables = st.dictionaries(bare, st.dictionaries(bare, values, min_size=1, max_size=4), max_size=4)


class Writer:
    """Writes a document in a random style, and remembers where it put everything."""

    def __init__(self, draw):
        self.draw = draw
        self.text = ""
        self.places = {}

    def fill(self, *choices):
        self.text += self.draw(st.sampled_from(choices))

    def filling(self):
        self.fill("", "", " ", "\n", "\t", " # a [comment] = {\n", "\r\n  ")

    def key(self, name):
        offset = len(self.text)
        self.text += self.draw(st.sampled_from([name, f'"{name}"', f"'{name}'", f'"\\u{ord(name[0]):04x}{name[1:]}"']))
        return offset

    def value(self, path, value):
        self.places[path] = (self.places[path][0], len(self.text)) if path in self.places else (len(self.text),) * 2
        if isinstance(value, str):
            self.text += value
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.filling()
                self.value((*path, index), item)
                self.filling()
                self.text += "," if index < len(value) - 1 or self.draw(st.booleans()) else ""
            self.filling()
            self.text += "]"
        else:
            self.text += "{"
            for index, (name, item) in enumerate(value.items()):
                self.text += ", " if index else ""
                self.pair((*path, name), item)
            self.fill("", " ")
            self.text += "}"

    def pair(self, path, value):
        self.places[path] = (self.key(path[-1]), 0)
        self.fill("=", " = ", "\t=")
        self.value(path, value)

    def dotted(self, path, name, value):
        """The pair `path[-1].name = value`: the first part of the key is where the table above it is said."""
        offset = self.key(path[-1])
        self.text += self.draw(st.sampled_from([".", " . "]))
        last = self.key(name)
        self.fill("=", " = ")
        self.places.setdefault(path, (offset, len(self.text)))
        self.places[(*path, name)] = (last, len(self.text))
        self.value((*path, name), value)


@st.composite
def documents(draw):
    writer = Writer(draw)
    content = draw(tables)
    for name, table in content.items():
        writer.filling()
        if writer.text and not writer.text.endswith("\n"):
            writer.text += "\n"
        style = draw(st.sampled_from(["header", "dotted", "array"]))
        if style == "dotted" and not any(place[0] == "[" for place in writer.text.splitlines() if place):
            for key, value in table.items():
                writer.dotted((name,), key, value)
                writer.text += "\n"
            continue
        start = len(writer.text)
        writer.text += "[[" if style == "array" else "["
        writer.fill("", " ")
        writer.key(name)
        writer.fill("", " ")
        writer.text += "]]" if style == "array" else "]"
        writer.text += "\n"
        path = (name, 0) if style == "array" else (name,)
        writer.places[(name,)] = writer.places[path] = (start, start)
        for key, value in table.items():
            writer.pair((*path, key), value)
            writer.fill("\n", " # [end]\n")
    return writer


@settings(max_examples=60, deadline=None)
@given(documents())
def test_everything_is_found_where_it_was_written(document):
    tomli.loads(document.text)  # the test writes TOML
    assert index_positions(document.text) == document.places


def place(text, *path, value=False):
    return parse_source(text.encode(), "Builderfile").place(path, value=value)[1:]


def test_tables_of_tables_and_what_lies_between():
    text = "[a.b]\nx = 1\n  [a]\ny.z = 2\n[[c]]\n[[c]]\nk = [1,\n  {d = 2}]\n[c.e]\nf = 1\n"
    assert place(text, "a") == (3, 3)
    assert place(text, "a", "b") == (1, 1)
    assert place(text, "a", "y") == (4, 1)
    assert place(text, "a", "y", "z") == (4, 3)
    assert place(text, "a", "y", "z", value=True) == (4, 7)
    assert place(text, "c") == (5, 1)
    assert place(text, "c", 1, "k", 1, "d", value=True) == (8, 8)
    assert place(text, "c", 1, "e", "f") == (10, 1)


def test_what_is_not_spelt_out_is_found_at_what_stands_around_it():
    text = "\n[target.a]\nsources = []\n"
    assert place(text, "target", "a", "sources", 7) == (3, 1)
    assert place(text, "target", "a", "deps") == (2, 1)
    assert place(text, "hermetic") == (1, 1)


def test_lines_and_columns_count_characters():
    text = "a = 'äö'\r\n\tb = { 'ü' = 1, c = 2 }\r\n"
    assert place(text, "b") == (2, 2)
    assert place(text, "b", "c") == (2, 17)
    assert place(text, "b", "ü", value=True) == (2, 14)


def test_a_byte_order_mark_is_not_counted():
    assert parse_source("\ufeffa = 1".encode(), "Builderfile").place(("a",), value=True)[1:] == (1, 5)
