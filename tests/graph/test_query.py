"""The query language: what expressions mean, and what is said of those that mean nothing."""

import itertools
import random

import pytest

from bldr.api.attributes import TargetAttributes
from bldr.api.labels import Label, parse_label
from bldr.graph.query import QueryError, attribute_text, kind_of, query


class FakeTarget:
    """A target with the attributes that a query looks at."""

    def __init__(self, deps, type="library", language="c", sources=(), **attributes):
        self.attributes = TargetAttributes(type=type, language=language, deps=tuple(deps), **attributes)
        self.labels = {"deps": tuple(parse_label(dep) for dep in deps)}
        self.files = {"sources": tuple(parse_label(name) if name.startswith("//") else name for name in sources)}


class FakeGraph:
    """A graph given as label -> target; the edges are the deps and the labels among the sources."""

    def __init__(self, targets):
        self._targets = {parse_label(text): target for text, target in targets.items()}
        self._rdeps = {label: [] for label in self._targets}
        for label in self._targets:
            for dep in self.deps(label):
                self._rdeps[dep].append(label)

    def labels(self):
        return sorted(self._targets)

    def target(self, label):
        return self._targets[label]

    def deps(self, label):
        target = self._targets[label]
        named = [file for file in target.files["sources"] if isinstance(file, Label)]
        return tuple(dict.fromkeys([*target.labels["deps"], *named]))

    def rdeps(self, label):
        return tuple(self._rdeps[label])


GRAPH = FakeGraph(
    {
        "//app:app": FakeTarget(["//lib:a", "//lib:b"], "executable", tags=("fast", "ci")),
        "//app:unit": FakeTarget(["//lib:b"], "test"),
        "//app/gui:gui": FakeTarget(["//lib:b"], "executable", "c++"),
        "//lib:a": FakeTarget(["//lib:core"], sources=("lib/a.c", "//gen:version")),
        "//lib:b": FakeTarget(["//lib:core"], env={"LANG": "C"}),
        "//lib:core": FakeTarget(["@lua//:lua"], visibility=("//app",)),
        "//gen:version": FakeTarget([], "command", None),
        "//other:alone": FakeTarget([], description="nobody needs it"),
        "@lua//:lua": FakeTarget([]),
    }
)


def asked(text, package=""):
    return [str(label) for label in query(GRAPH, text, package)]


ANSWERS = {
    "//app:app": "//app:app",
    "//app": "//app:app",
    "//app:all": "//app:app //app:unit",
    "//app:*": "//app:app //app:unit",
    "//app/...": "//app:app //app:unit //app/gui:gui",
    "@lua//...": "@lua//:lua",
    "@lua//:lua": "@lua//:lua",
    "'//app:app'": "//app:app",
    '"//lib:a"': "//lib:a",
    "deps(//lib:b)": "//lib:b //lib:core @lua//:lua",
    "deps(//lib:a)": "//gen:version //lib:a //lib:core @lua//:lua",
    "deps(//lib:a, 0)": "//lib:a",
    "deps(//lib:a, 1)": "//gen:version //lib:a //lib:core",
    "rdeps(//..., //lib:a)": "//app:app //lib:a",
    "rdeps(//..., //lib:core, 1)": "//lib:a //lib:b //lib:core",
    "rdeps(//app:unit, //lib:core)": "//app:unit //lib:b //lib:core",
    "rdeps(//other:alone, //lib:core)": "",
    "allpaths(//app:app, //lib:core)": "//app:app //lib:a //lib:b //lib:core",
    "allpaths(//lib:core, //app:app)": "",
    "somepath(//app:app, //gen:version)": "//app:app //lib:a //gen:version",
    "somepath(//app:app, //other:alone)": "",
    "somepath(//app:app, //app:app)": "//app:app",
    "kind(executable, //...)": "//app:app //app/gui:gui",
    "kind('executable c$', //...)": "//app:app",
    "kind('^command$', //...)": "//gen:version",
    "attr(tags, fast, //...)": "//app:app",
    "attr(tags, '^\\[fast, ci\\]$', //...)": "//app:app",
    "attr(deps, //lib:core, //...)": "//lib:a //lib:b",
    "attr(visibility, private, //lib:all)": "//lib:a //lib:b",
    "attr(env, LANG, //...)": "//lib:b",
    "attr(description, nobody, //...)": "//other:alone",
    "filter('^//lib', //...)": "//lib:a //lib:b //lib:core",
    "tests(//...)": "//app:unit",
    "labels(sources, //lib:a)": "//gen:version",
    "labels(deps, //app:app)": "//lib:a //lib:b",
    "//lib:a + //lib:b": "//lib:a //lib:b",
    "//lib:a union //lib:b": "//lib:a //lib:b",
    "//lib:all - //lib:a": "//lib:b //lib:core",
    "//lib:all except //lib:a except //lib:b": "//lib:core",
    "//lib:all ^ deps(//lib:b)": "//lib:b //lib:core",
    "//lib:all intersect //lib:b": "//lib:b",
    "//lib:a + //lib:b - //lib:a": "//lib:b",  # all operators bind alike, from the left
    "//lib:a + (//lib:b - //lib:a)": "//lib:a //lib:b",
    "//lib:all -//lib:a": "//lib:b //lib:core",
    "set()": "",
    "set(//lib:a //other:alone)": "//lib:a //other:alone",
    "set(//lib:all -//lib:core)": "//lib:a //lib:b",
    "let v = //lib:a in deps($v) - $v": "//gen:version //lib:core @lua//:lua",
    "let v = //lib:a in let w = deps($v, 1) in $w ^ //lib/...": "//lib:a //lib:core",
    "deps(\n  //lib:b ,\t1 )": "//lib:b //lib:core",
}


@pytest.mark.parametrize("text", ANSWERS)
def test_answers(text):
    assert " ".join(asked(text)) == ANSWERS[text]


def test_everything_of_the_workspace_leaves_external_sources_out():
    assert len(asked("//...")) == 8
    assert "@lua//:lua" not in asked("//...")


def test_patterns_count_from_where_the_user_stands():
    assert asked(":unit", "app") == ["//app:unit"]
    assert asked("...", "app") == ["//app:app", "//app:unit", "//app/gui:gui"]
    assert asked("gui:gui", "app") == ["//app/gui:gui"]
    assert asked("gui", "app") == ["//app/gui:gui"]
    assert asked("unit", "app") == ["//app:unit"]
    assert asked(":all", "lib") == ["//lib:a", "//lib:b", "//lib:core"]


MESSAGES = {
    "": """\
query:1: expected a target pattern, a function or a parenthesis but the expression ends
    \n    ^""",
    "deps(//lib:a": """\
query:13: expected ")" but the expression ends
    deps(//lib:a
                ^
hint: usage: deps(expression, depth)""",
    "deps(//lib:a, soon)": """\
query:15: expected a number but found soon
    deps(//lib:a, soon)
                  ^
hint: usage: deps(expression, depth)""",
    "dep(//lib:a)": """\
query:1: no function "dep"
    dep(//lib:a)
    ^
hint: did you mean "deps"?""",
    "zzzzzz(//lib:a)": """\
query:1: no function "zzzzzz"
    zzzzzz(//lib:a)
    ^
hint: the functions are: deps, rdeps, allpaths, somepath, kind, attr, filter, tests, labels""",
    "rdeps(//lib:a)": """\
query:14: expected "," but found )
    rdeps(//lib:a)
                 ^
hint: usage: rdeps(universe, expression, depth)""",
    "//lib:a //lib:b": """\
query:9: expected an operator but found //lib:b
    //lib:a //lib:b
            ^""",
    "//lib:a +": """\
query:10: expected a target pattern, a function or a parenthesis but the expression ends
    //lib:a +
             ^""",
    "//lib:a in //lib:b": """\
query:9: expected an operator but found in
    //lib:a in //lib:b
            ^""",
    "//lib:aa": """\
query:1: no target "//lib:aa"
    //lib:aa
    ^
hint: did you mean "//lib:a"?""",
    "//nothing/...": """\
query:1: the pattern "//nothing/..." matches no target
    //nothing/...
    ^
hint: bldr query //... lists the targets""",
    "//a//b": """\
query:1: "//a//b" is not a label: write ":name", "//package:name" or "@repository//package:name"
    //a//b
    ^""",
    "kind('(', //...)": """\
query:7: not a regular expression: missing ), unterminated subpattern
    kind('(', //...)
          ^""",
    "kind('exe, //...)": """\
query:6: the quote that begins here has no end
    kind('exe, //...)
         ^""",
    "//lib:a; //lib:b": """\
query:8: ";" cannot stand here
    //lib:a; //lib:b
           ^
hint: quote it: '...;...'""",
    "let = //lib:a in $v": """\
query:5: expected the name of a variable but found =
    let = //lib:a in $v
        ^
hint: let v = //pkg/... in deps($v)""",
    "let v = //lib:a deps($v)": """\
query:17: expected "in" but found deps
    let v = //lib:a deps($v)
                    ^
hint: let v = //pkg/... in deps($v)""",
    "let value = //lib:a in $valeu": """\
query:24: no variable "valeu"
    let value = //lib:a in $valeu
                           ^
hint: did you mean "value"?""",
    "attr(tagz, fast, //...)": """\
query:6: none of the targets has an attribute "tagz"
    attr(tagz, fast, //...)
         ^
hint: did you mean "tags"?""",
    "set(//lib:a, //lib:b)": """\
query:12: expected a target pattern but found ,
    set(//lib:a, //lib:b)
               ^
hint: set(//a //b/... -//b:c) takes patterns only""",
}


@pytest.mark.parametrize("text", MESSAGES)
def test_mistakes_are_told_with_their_column(text):
    with pytest.raises(QueryError) as raised:
        asked(text)
    assert str(raised.value) == MESSAGES[text]


def test_hostile_nesting_is_refused():
    with pytest.raises(QueryError, match="query:101: more than 100 expressions inside each other"):
        asked("(" * 10_000 + "//lib:a")


def test_nesting_up_to_the_limit_is_read_and_chains_have_none():
    assert asked("(" * 99 + "//lib:a" + ")" * 99) == ["//lib:a"]
    assert asked(" + ".join(["//lib:a"] * 20_000)) == ["//lib:a"]


def test_an_attribute_of_an_empty_set_is_no_mistake():
    assert asked("attr(whatever, x, set())") == []


def test_what_kind_and_attr_match():
    target = GRAPH.target(parse_label("//lib:a"))
    assert kind_of(target) == "library c"
    assert attribute_text(target, "sources") == "[lib/a.c, //gen:version]"
    assert attribute_text(target, "deps") == "[//lib:core]"
    assert attribute_text(GRAPH.target(parse_label("//lib:b")), "env") == '{"LANG":"C"}'


def chain_of(length):
    """//p:t0 needs //p:t1 needs //p:t2 ..."""
    return FakeGraph(
        {f"//p:t{index}": FakeTarget([f"//p:t{index + 1}"] if index + 1 < length else []) for index in range(length)}
    )


@pytest.mark.full
def test_a_chain_of_a_hundred_thousand_targets_is_walked():
    graph = chain_of(100_000)
    assert len(query(graph, "deps(//p:t0)")) == 100_000
    assert len(query(graph, "rdeps(//..., //p:t99999)")) == 100_000
    assert len(query(graph, "allpaths(//p:t0, //p:t99999)")) == 100_000
    assert len(query(graph, "somepath(//p:t0, //p:t99999)")) == 100_000


@pytest.mark.parametrize("seed", range(20))
def test_walks_agree_with_the_definitions_on_random_graphs(seed):
    dice = random.Random(seed)
    size = 12
    names = [f"//p:t{index:02d}" for index in range(size)]
    graph = FakeGraph(
        {
            name: FakeTarget(dice.sample(names[index + 1 :], dice.randint(0, min(3, size - index - 1))))
            for index, name in enumerate(names)
        }
    )
    reach = {label: {label} for label in graph.labels()}
    for label in reversed(graph.labels()):
        for dep in graph.deps(label):
            reach[label] |= reach[dep]
    for start in graph.labels():
        assert set(query(graph, f"deps({start})")) == reach[start]
        assert set(query(graph, f"rdeps(//..., {start})")) == {label for label in reach if start in reach[label]}
        for end in graph.labels():
            between = {label for label in reach[start] if end in reach[label]}
            assert set(query(graph, f"allpaths({start}, {end})")) == between
            path = query(graph, f"somepath({start}, {end})")
            assert bool(path) == (end in reach[start])
            assert all(dep in graph.deps(label) for label, dep in itertools.pairwise(path))
            assert not path or (path[0], path[-1]) == (start, end)
