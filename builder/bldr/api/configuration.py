"""What a build was asked to make of its targets: the configuration that `--config` names."""

from typing import Literal

import msgspec


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is "" for the default configuration, whose outputs stand directly in `bldr-out`.

    `mode` asks for what every language has a word for: "debug" for programs that a debugger understands, "release" for
    fast ones, "default" for what the language does by itself. `flags` are added to those of every target, by language
    ("c", "rust") and come before the target's own; `env` is added to the environment of every action.
    """

    name: str = ""
    mode: Literal["default", "debug", "release"] = "default"
    flags: dict[str, tuple[str, ...]] = {}
    env: dict[str, str] = {}

    def flags_of(self, language: str) -> tuple[str, ...]:
        """The flags for one language."""
        return self.flags.get(language, ())
