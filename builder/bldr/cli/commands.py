"""The table of bundled commands: names and summaries, so that only the command that was asked for is imported.

The command NAME lives in the module `bldr.cli.NAME`, which has `add_arguments(parser)` and `run(arguments)`: the two
callables of `bldr.api.Command`, as a third party's command has.
"""

BUNDLED = {
    "build": "build targets",
    "test": "build and run tests",
    "watch": "build or test again whenever something changes",
    "run": "build a target and run its program",
    "query": "ask about the target graph",
    "explain": "say why an action ran or would run",
    "log": "show what ran, as commands that reproduce it, and what it printed",
    "shell": "enter the sandbox of an action",
    "exec": "run one command in a sandbox",
    "clean": "remove the outputs of the workspace",
    "gc": "shrink the cache",
    "verify": "read the cache and compare it with what was stored",
    "doctor": "show what this machine can guarantee, and what is wrong with it",
    "init": "write a Builderfile for the sources that are there, or a plugin",
    "fetch": "bring the external sources of the workspace",
    "schema": "print the JSON Schema of Builderfiles",
    "completion": "print a completion script for a shell",
}
