"""The attributes of a target as its Builderfile table spells them: a handler's struct extends `TargetAttributes`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FileList = Annotated[tuple[str, ...], Meta(extra={"bldr": "files"})]
"""File names, glob patterns and labels. The loader expands the patterns; handlers ask `Context.files(attribute)`."""

LabelList = Annotated[tuple[str, ...], Meta(extra={"bldr": "labels"})]
"""Labels of other targets. Handlers ask `Context.deps(attribute)`."""


class HermeticSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `hermetic` of a workspace, a package or a target; None is "not said here".

    Sizes are texts as "512M" (powers of 1024), times as "90s", "30m" or "1h"; both may be integers (bytes, seconds).
    `cpus` are processors' worth of time at any moment, `temp` is the size of /tmp, `devices` are nodes below /dev.
    """

    enabled: bool | None = None
    network: bool | tuple[str, ...] | None = None
    memory: str | int | None = None
    cpu_time: str | int | None = None
    cpus: float | None = None
    timeout: str | int | None = None
    grace: str | int | None = None
    processes: int | None = None
    open_files: int | None = None
    file_size: str | int | None = None
    output: str | int | None = None
    disk: str | int | None = None
    log: str | int | None = None
    temp: str | int | None = None
    devices: tuple[str, ...] | None = None
    on_violation: Literal["deny", "kill"] | None = None
    root: bool | None = None


class TargetAttributes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every target may say, whatever builds it."""

    type: str
    language: str | None = None
    description: str = ""
    sources: FileList = ()
    deps: LabelList = ()
    data: FileList = ()
    env: dict[str, str] = {}
    env_inherit: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    visibility: str | tuple[str, ...] = "private"
    hermetic: HermeticSettings = HermeticSettings()


class TestAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every target of type "test" may say besides; `timeout` overrides the default of `size`.

    `shard_count` processes share the cases of the test; a `flaky` one is tried up to three times.
    """

    __test__ = False

    size: Literal["small", "medium", "large", "enormous"] = "medium"
    timeout: str | int | None = None
    args: tuple[str, ...] = ()
    flaky: bool = False
    shard_count: Annotated[int, Meta(ge=1, le=50)] = 1
