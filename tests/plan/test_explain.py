"""The reasons that people read."""

from bldr.plan.explain import differences, summary

BEFORE = {"argument 0": "gcc", "argument 1": "-O1", "variable LANG": "C", "input a.h": "1" * 64, "input b.h": "2" * 64}


def test_nothing_changed():
    assert differences(BEFORE, dict(BEFORE)) == []


def test_each_difference_is_one_sentence():
    now = {
        "argument 0": "gcc",
        "argument 1": "-O2",
        "variable LANG": "C.UTF-8",
        "input a.h": "3" * 64,
        "input c.h": "4",
    }
    assert differences(BEFORE, now) == [
        "the command line changed: added -O2, removed -O1",
        'variable LANG changed from "C" to "C.UTF-8"',
        "a.h changed",
        "input c.h is new",
        "input b.h is gone",
    ]


def test_the_order_of_arguments_counts():
    before = {"argument 0": "a", "argument 1": "b"}
    assert differences(before, {"argument 0": "b", "argument 1": "a"}) == ["the command line changed: another order"]


def test_a_changed_input_that_was_not_read_is_no_reason():
    now = BEFORE | {"input a.h": "3" * 64, "input b.h": "4" * 64}
    assert differences(BEFORE, now, reads=("b.h",)) == ["b.h changed"]


def test_long_lists_are_cut():
    assert summary(["a", "b", "c"]) == "a; b; c"
    assert summary(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"
