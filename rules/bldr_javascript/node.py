"""How node runs in an action's tree: packages are found by name, from wherever a module stands."""

import posixpath

from bldr.api import Artifact, Context
from bldr_javascript.providers import ModuleInfo

NODE = ("node", "shell")
"""The toolchains of everything that node does."""
# A directory above all modules; where packages are links, node looks for what they need beside their real place.
_IN_TREE = """\
test -z "$1" || ln -s "$1" node_modules
shift
exec node "$@"
"""
_TEST = """\
test -z "$1" || ln -s "$1" node_modules
count=$2
shift 2
while test "$count" -gt 0; do # the files of the target come first and are put last
    set -- "$@" "$1"
    shift
    count=$((count - 1))
done
test -z "${XML_OUTPUT_FILE:-}" || set -- --test-reporter=junit --test-reporter-destination="$XML_OUTPUT_FILE" "$@"
test -z "${TESTBRIDGE_TEST_ONLY:-}" || set -- --test-name-pattern="$TESTBRIDGE_TEST_ONLY" "$@"
test -z "${TEST_SHARD_STATUS_FILE:-}" || : > "$TEST_SHARD_STATUS_FILE"
test -z "${TEST_TOTAL_SHARDS:-}" || set -- --test-shard="$((TEST_SHARD_INDEX + 1))/$TEST_TOTAL_SHARDS" "$@"
exec node --test --test-reporter=spec --test-reporter-destination=stdout "$@"
"""


def in_tree(info: ModuleInfo, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs node with packages in sight."""
    return ("sh", "-euc", _IN_TREE, "sh", _directory(info), *arguments)


def test_command(info: ModuleInfo, tests: tuple[Artifact, ...]) -> tuple[str, ...]:
    """The command that runs tests; options of node may follow."""
    return ("sh", "-euc", _TEST, "sh", _directory(info), str(len(tests)), *(test.path for test in tests))


def package_file(name: str, info: ModuleInfo, context: Context, attribute: str) -> str:
    """The path in the tree of a package's file, given as "package/path". Fails where no dep brings it."""
    for directory in info.node_modules:
        path = posixpath.join(directory, name)
        if any(file.path == path for file in info.packages):
            return path
    hint = f'pin the package in a lock file: {attribute} = ["@npm//:{name.partition("/")[0]}"]'
    return context.fail(f'{attribute} brings no "{name}"', hint, attribute)


def _directory(info: ModuleInfo) -> str:
    return info.node_modules[0] if info.node_modules else ""
