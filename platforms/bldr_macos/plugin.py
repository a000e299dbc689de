"""The plugin `macos`: Seatbelt on macOS, and why not on other systems."""

from collections.abc import Iterable

from bldr.api import Sandbox, hook


@hook
def bldr_sandboxes() -> Iterable[type[Sandbox]]:
    from bldr_macos.sandbox import MacosSandbox  # imports nothing but the API before it is on a Mac

    return (MacosSandbox,)
