"""The values that the command line becomes. No dataclasses: importing those takes longer than a whole run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class _Frozen:
    """Fields by name, with the class's own as defaults; never changed."""

    def __init__(self, **values: Any) -> None:
        unknown = [name for name in values if not hasattr(type(self), name)]
        if unknown:
            raise TypeError(f"no such field: {unknown[0]}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.__dict__)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"

    def changed(self, **values: Any) -> Any:
        """The same with other values in some fields."""
        return type(self)(**{**self.__dict__, **values})


class Operation(_Frozen):
    """One step of building the new root.

    `perms` is 0 for operations that have none: bubblewrap then makes missing parents for the owner alone.
    """

    kind: str = ""
    destination: str = ""
    source: str | None = None
    fd: int | None = None
    perms: int = 0
    size_bytes: int | None = None
    devices: bool = False
    read_only: bool = False
    missing_ok: bool = False
    upper: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


class Options(_Frozen):
    """All that the command line said, in its order where order matters."""

    unshare_user: bool = False
    unshare_user_try: bool = False
    unshare_ipc: bool = False
    unshare_pid: bool = False
    unshare_net: bool = False
    unshare_uts: bool = False
    unshare_cgroup: bool = False
    unshare_cgroup_try: bool = False
    userns_fd: int | None = None
    userns2_fd: int | None = None
    pidns_fd: int | None = None
    disable_userns: bool = False
    assert_userns_disabled: bool = False
    uid: int | None = None
    gid: int | None = None
    hostname: str | None = None
    chdir: str | None = None
    argv0: str | None = None
    new_session: bool = False
    die_with_parent: bool = False
    as_pid_1: bool = False
    sync_fd: int | None = None
    block_fd: int | None = None
    userns_block_fd: int | None = None
    info_fd: int | None = None
    json_status_fd: int | None = None
    seccomp_fd: int | None = None
    filter_fds: tuple[int, ...] = ()
    lock_files: tuple[str, ...] = ()
    capabilities: tuple[tuple[bool, int], ...] = ()
    environment: tuple[tuple[str, ...], ...] = ()
    operations: tuple[Operation, ...] = ()
    command: tuple[str, ...] = ()

    def needs_devpts(self) -> bool:
        """Whether a devpts will be mounted, for which a user 0 must be mapped."""
        return any(operation.kind == "dev" for operation in self.operations)
