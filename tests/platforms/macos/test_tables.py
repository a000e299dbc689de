"""What tools need of a Mac is allowed, what no action may do is denied, and every rule of a profile has its reason."""

import machine
import pytest
import tables

PLACES = machine.Places()
LINKED = machine.Places(root="/tmp/bldr cache/v1")
"""A cache that is reached over a link, as whoever sets XDG_CACHE_HOME=/tmp/x has it."""

SPECIAL = ("nested", "network_host", "network_localhost")
TOOLS = [name for name in tables.names() if name not in SPECIAL]

SEE = "(allow file-read-metadata file-test-existence), of which (literal {})"
SHOW = "(allow file-read* file-test-existence file-map-executable process-exec process-exec-interpreter)"
UNNOTICED = {
    SEE.format("'/'"): "it may be read altogether, for the loader",
    SEE.format("'/Users/alice/data'"): "it is itself an input",
    SEE.format("'/Users/alice/data/out'"): "it is itself an output",
    SEE.format("(param 'ABOVE_4')"): "it is the tree, above an input that is in the tree",
    SEE.format("(param 'ABOVE_5')"): "it is in the tree, above that input",
    f"{SHOW} of (subpath '/Users/alice/data/out/kept')": "an input in an output, which may be read anyway",
    f"{SHOW} of (subpath '{PLACES.sysroot}/toolchain')": "the same: the output surrounds the cache",
    f"{SHOW} of (subpath (param 'INPUT_0')) (subpath (param 'INPUT_1'))": "the same: tools, and an input in the tree",
    f"{SHOW}, of which (subpath (param 'INPUT_0'))": "the same",
    f"{SHOW}, of which (subpath (param 'INPUT_1'))": "the same",
    "(deny file-write*) of (subpath (param 'INPUT_0'))": "tools lie in nothing that is written, but where an output "
    "surrounds the cache: there it is noticed, together with the input in the tree",
}
"""Parts of profiles that no table misses, and why they are there all the same."""


@pytest.mark.parametrize("name", [*tables.names(), tables.EVERY])
def test_every_line_of_the_table_holds(name):
    table = tables.load(name, PLACES)
    assert not tables.wrong(table, *tables.made_for(table, PLACES))


@pytest.mark.parametrize("name", [*TOOLS, tables.EVERY])
def test_it_holds_for_a_cache_behind_a_link(name):
    table = tables.load(name, LINKED)
    elsewhere = ("lstat /Users", "file-read-metadata|DIRECTORY /Users", f"file-read-metadata|DIRECTORY {LINKED.home}")
    lines = tuple(line for line in table.lines if not line.question.startswith(elsewhere))
    assert not tables.wrong(table._replace(lines=lines), *tables.made_for(table, LINKED))


def noticed(table):
    """Every part of a profile, and whether a line of the table changes its answer without it."""
    profile, mac = tables.made_for(table, PLACES)
    lines = list(tables.questions(table, mac))
    concerned = [(line, profile.concerned(line.question, mac)) for line in lines]
    for number, name, variant in profile.variants():
        about = (line for line, numbers in concerned if number in numbers)
        yield name, any(variant.answer(line.question, mac).action != line.wanted for line in about)


def test_every_part_of_a_profile_is_there_for_a_reason():
    """Whatever rule, path or operation is taken away, a tool fails or something is possible that must not be."""
    all_tools = tables.together([tables.load(name, PLACES) for name in TOOLS])
    found = {}
    for table in (all_tools, *(tables.load(name, PLACES) for name in SPECIAL)):
        for name, is_noticed in noticed(table):
            found[name] = found.get(name, False) or is_noticed
    assert len(found) > 200
    assert {name for name, is_noticed in found.items() if not is_noticed} == set(UNNOTICED)
