"""`bldr schema`: print the JSON Schema of Builderfiles, for editors."""

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the schema follows from the plugins that are installed."""
    parser.epilog = "The schema covers the target types of every plugin that is installed."


def run(_arguments: Namespace) -> int:
    """Print it."""
    import msgspec

    from bldr.load.schema import json_schema
    from bldr.plugins import load_plugins

    schema = msgspec.json.encode(json_schema(load_plugins()))
    sys.stdout.write(msgspec.json.format(schema, indent=2).decode() + "\n")
    return 0
