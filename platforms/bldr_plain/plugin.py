"""The plugin `plain`: a platform that isolates nothing and says so, for machines without a better one."""

from collections.abc import Iterable

from bldr.api import Sandbox, hook
from bldr_plain.sandbox import PlainSandbox


@hook
def bldr_sandboxes() -> Iterable[type[Sandbox]]:
    return (PlainSandbox,)
