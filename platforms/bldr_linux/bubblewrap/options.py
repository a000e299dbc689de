"""Command line to frozen values: what every option means, alone and after the one before it; touches nothing."""

from __future__ import annotations

import os

from bldr_linux.bubblewrap import capabilities
from bldr_linux.bubblewrap.failure import FatalError
from bldr_linux.bubblewrap.values import Operation, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MOST_ARGUMENTS = 9000
_MOST_TMPFS_BYTES = (1 << 63) - 1

_SWITCHES: dict[str, dict[str, bool]] = {
    "--unshare-all": {
        "unshare_user_try": True,
        "unshare_ipc": True,
        "unshare_pid": True,
        "unshare_uts": True,
        "unshare_cgroup_try": True,
        "unshare_net": True,
    },
    "--unshare-user": {"unshare_user": True},
    "--unshare-user-try": {"unshare_user_try": True},
    "--unshare-ipc": {"unshare_ipc": True},
    "--unshare-pid": {"unshare_pid": True},
    "--unshare-net": {"unshare_net": True},
    "--unshare-uts": {"unshare_uts": True},
    "--unshare-cgroup": {"unshare_cgroup": True},
    "--unshare-cgroup-try": {"unshare_cgroup_try": True},
    "--share-net": {"unshare_net": False},
    "--disable-userns": {"disable_userns": True},
    "--assert-userns-disabled": {"assert_userns_disabled": True},
    "--new-session": {"new_session": True},
    "--die-with-parent": {"die_with_parent": True},
    "--as-pid-1": {"as_pid_1": True},
}
_DESCRIPTORS = {
    "--sync-fd": "sync_fd",
    "--block-fd": "block_fd",
    "--userns-block-fd": "userns_block_fd",
    "--info-fd": "info_fd",
    "--json-status-fd": "json_status_fd",
    "--seccomp": "seccomp_fd",
    "--userns": "userns_fd",
    "--userns2": "userns2_fd",
    "--pidns": "pidns_fd",
}
_BINDS = {
    "--bind": {"devices": False, "read_only": False},
    "--dev-bind": {"devices": True, "read_only": False},
    "--ro-bind": {"devices": False, "read_only": True},
}
_MOUNTS = {"--proc": "proc", "--dev": "dev", "--mqueue": "mqueue", "--remount-ro": "remount-ro"}
_DATA = {"--file": ("file", 0o666), "--bind-data": ("bind-data", 0o600), "--ro-bind-data": ("bind-data", 0o600)}
_OVERLAYS = {"--overlay": 1, "--tmp-overlay": 1, "--ro-overlay": 2}
_MODIFIERS = ("--perms", "--size")
_TAKE_TWO = ("--bind-fd", "--ro-bind-fd", "--symlink", "--setenv", "--chmod")
# bubblewrap words the same complaint in two ways.
_TAKE_ONE_AND_SAY_SO = ("--argv0", "--chdir", "--remount-ro")
_LONELY_LAYER = (
    "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay"
)


class Answer(Exception):  # noqa: N818 - nothing is wrong
    """`--help` or `--version` was met: what is to be said instead of running anything."""


def parse(
    words: list[str], read: Callable[[int], bytes], warn: Callable[[str], None], show_levels: Callable[[], None]
) -> Options:
    """The options and the command in `words`; raises FatalError, or Answer.

    `read` gives the content of a descriptor and closes it; `show_levels` is told of `--level-prefix` as it is met.
    """
    parser = _Parser(len(words), read, warn, show_levels)
    command = parser.consume(words, in_file=False)
    if parser.layers:
        raise FatalError(_LONELY_LAYER)
    lists = {name: tuple(found) for name, found in parser.lists.items()}
    return Options(**parser.values, **lists, command=tuple(command))


class _Parser:
    """What has been read so far, and what waits for the option that it modifies."""

    def __init__(
        self, count: int, read: Callable[[int], bytes], warn: Callable[[str], None], show_levels: Callable[[], None]
    ) -> None:
        self.values: dict[str, Any] = {}
        self.lists: dict[str, list[Any]] = {
            "operations": [],
            "environment": [],
            "capabilities": [],
            "lock_files": [],
            "filter_fds": [],
        }
        self.layers: list[str] = []
        self._count = count
        self._perms: int | None = None
        self._size: int | None = None
        self._read = read
        self._warn = warn
        self._show_levels = show_levels

    def consume(self, words: list[str], *, in_file: bool) -> list[str]:
        """Take the options from the front; the rest is the command."""
        if self._count > _MOST_ARGUMENTS:
            raise FatalError(f"Exceeded maximum number of arguments {_MOST_ARGUMENTS}")
        at = 0
        while at < len(words):
            name = words[at]
            if name == "--":
                return words[at + 1 :]
            if not name.startswith("-"):
                # An empty word is a command too.
                return words[at:]
            at += 1 + self._option(name, words[at + 1 :], in_file=in_file)
            self._check_modifiers(name)
        return []

    def _check_modifiers(self, name: str) -> None:
        if name not in _MODIFIERS and self._perms is not None:
            raise FatalError("--perms must be followed by an option that creates a file")
        if name not in _MODIFIERS and self._size is not None:
            raise FatalError("--size must be followed by --tmpfs")
        if name != "--overlay-src" and self.layers:
            raise FatalError(_LONELY_LAYER)

    def _option(self, name: str, rest: list[str], *, in_file: bool) -> int:
        """Understand one option; how many words of `rest` belong to it."""
        if name in ("--help", "--version"):
            raise Answer(name)
        if name == "--level-prefix":
            self._show_levels()
            return 0
        if name in _SWITCHES:
            self.values.update(_SWITCHES[name])
            return 0
        if name == "--clearenv":
            self.lists["environment"].append(("clear",))
            return 0
        if name == "--overlay-src":
            if not rest:
                raise FatalError(_LONELY_LAYER)
            self.layers.append(rest[0])
            return 1
        if name == "--args" and in_file:
            raise FatalError("--args not supported in arguments file")
        understand, count = self._reader(name)
        if len(rest) < count:
            raise FatalError(_complaint(name, count))
        understand(name, *rest[:count])
        return count

    def _reader(self, name: str) -> tuple[Callable[..., None], int]:
        """The method that understands an option, and how many words it takes."""
        if name in _DESCRIPTORS:
            return self._descriptor, 1
        if name in _MOUNTS:
            return self._mount, 1
        if name in _DATA:
            return self._data, 2
        if name.removesuffix("-try") in _BINDS:
            return self._bind, 2
        if name in _OVERLAYS:
            return self._overlay, 3 if name == "--overlay" else 1
        method = _READERS.get(name)
        if method is None:
            raise FatalError(f"Unknown option {name}")
        return method.__get__(self), 2 if name in _TAKE_TWO else 1

    def _set_last(self, option: str, key: str, value: Any) -> None:
        if key in self.values:
            self._warn(f"Only the last {option} option will take effect")
        self.values[key] = value

    def _add(self, kind: str, destination: str, **values: Any) -> None:
        self.lists["operations"].append(Operation(kind=kind, destination=destination, **values))

    def _take_perms(self, default: int) -> int:
        perms, self._perms = self._perms, None
        return default if perms is None else perms

    def _descriptor(self, name: str, text: str) -> None:
        if name == "--seccomp" and self.lists["filter_fds"]:
            raise FatalError("--seccomp cannot be combined with --add-seccomp-fd")
        if _DESCRIPTORS[name] in self.values:
            self._warn(f"Only the last {name} option will take effect")
        self.values[_DESCRIPTORS[name]] = _descriptor(text)

    def _mount(self, name: str, destination: str) -> None:
        self._add(_MOUNTS[name], destination)

    def _data(self, name: str, text: str, destination: str) -> None:
        kind, default = _DATA[name]
        fd = _descriptor(text)
        self._add(kind, destination, fd=fd, read_only=name == "--ro-bind-data", perms=self._take_perms(default))

    def _bind(self, name: str, source: str, destination: str) -> None:
        access = _BINDS[name.removesuffix("-try")]
        self._add("bind", destination, source=source, missing_ok=name.endswith("-try"), **access)

    def _bind_fd(self, name: str, text: str, destination: str) -> None:
        fd = _descriptor(text)
        self._add("bind", destination, source=f"/proc/self/fd/{fd}", fd=fd, read_only=name == "--ro-bind-fd")

    def _overlay(self, name: str, *words: str) -> None:
        if len(self.layers) < _OVERLAYS[name]:
            wanted = "two" if _OVERLAYS[name] == 2 else "one"
            raise FatalError(f"{name} requires at least {wanted} --overlay-src")
        upper = words[:2] if name == "--overlay" else ()
        # overlayfs wants the topmost first.
        self._add(name[2:], words[-1], upper=tuple(upper), layers=tuple(reversed(self.layers)))
        self.layers = []

    def _args(self, _: str, text: str) -> None:
        data = self._read(_descriptor(text))
        words = data.split(b"\0")
        if not words[-1]:
            words.pop()
        self._count += len(words)
        self.consume([os.fsdecode(word) for word in words], in_file=True)

    def _argv0(self, _: str, text: str) -> None:
        if "argv0" in self.values:
            raise FatalError("--argv0 used multiple times")
        self.values["argv0"] = text

    def _chdir(self, name: str, path: str) -> None:
        self._set_last(name, "chdir", path)

    def _label(self, *_: str) -> None:
        raise FatalError("labeling not supported on this system")

    def _tmpfs(self, _: str, destination: str) -> None:
        size, self._size = self._size, None
        self._add("tmpfs", destination, perms=self._take_perms(0o755), size_bytes=size)

    def _dir(self, _: str, destination: str) -> None:
        self._add("dir", destination, perms=self._take_perms(0o755))

    def _symlink(self, _: str, target: str, destination: str) -> None:
        self._add("symlink", destination, source=target)

    def _lock_file(self, _: str, path: str) -> None:
        self.lists["lock_files"].append(path)

    def _add_seccomp_fd(self, _: str, text: str) -> None:
        if "seccomp_fd" in self.values:
            raise FatalError("--add-seccomp-fd cannot be combined with --seccomp")
        self.lists["filter_fds"].append(_descriptor(text))

    def _setenv(self, _: str, name: str, value: str) -> None:
        self.lists["environment"].append(("set", name, value))

    def _unsetenv(self, _: str, name: str) -> None:
        self.lists["environment"].append(("unset", name))

    def _identity(self, name: str, text: str) -> None:
        number = _number(text)
        if number is None or number < 0:
            raise FatalError(f"Invalid {name[2:]}: {text}")
        self._set_last(name, name[2:], number)

    def _hostname(self, name: str, text: str) -> None:
        self._set_last(name, "hostname", text)
        self._add("hostname", text)

    def _capability(self, name: str, text: str) -> None:
        mask = capabilities.EVERY if text.upper() == "ALL" else capabilities.mask_of(text)
        if not mask:
            raise FatalError(f"unknown cap: {text}")
        self.lists["capabilities"].append((name == "--cap-add", mask))

    def _set_perms(self, _: str, text: str) -> None:
        if self._perms is not None:
            raise FatalError("--perms given twice for the same action")
        self._perms = _octal("--perms", text)

    def _set_size(self, _: str, text: str) -> None:
        if self._size is not None:
            raise FatalError("--size given twice for the same action")
        size = _size_bytes(text)
        if not size or size >= 1 << 64:
            raise FatalError("--size takes a non-zero number of bytes")
        if size > _MOST_TMPFS_BYTES:
            raise FatalError(f"--size (for tmpfs) is limited to {_MOST_TMPFS_BYTES}")
        self._size = size

    def _chmod(self, name: str, text: str, destination: str) -> None:
        self._add("chmod", destination, perms=_octal(name, text))


_READERS: dict[str, Any] = {
    "--args": _Parser._args,
    "--argv0": _Parser._argv0,
    "--chdir": _Parser._chdir,
    "--exec-label": _Parser._label,
    "--file-label": _Parser._label,
    "--tmpfs": _Parser._tmpfs,
    "--dir": _Parser._dir,
    "--symlink": _Parser._symlink,
    "--bind-fd": _Parser._bind_fd,
    "--ro-bind-fd": _Parser._bind_fd,
    "--lock-file": _Parser._lock_file,
    "--add-seccomp-fd": _Parser._add_seccomp_fd,
    "--setenv": _Parser._setenv,
    "--unsetenv": _Parser._unsetenv,
    "--uid": _Parser._identity,
    "--gid": _Parser._identity,
    "--hostname": _Parser._hostname,
    "--cap-add": _Parser._capability,
    "--cap-drop": _Parser._capability,
    "--perms": _Parser._set_perms,
    "--size": _Parser._set_size,
    "--chmod": _Parser._chmod,
}


def _complaint(name: str, count: int) -> str:
    if name == "--ro-bind-fd":
        name = "--bind-fd"
    if count == 1:
        return f"{name} takes {'one' if name in _TAKE_ONE_AND_SAY_SO else 'an'} argument"
    return f"{name} takes {'two' if count == 2 else 'three'} arguments"


def _number(text: str) -> int | None:
    """What strtol(3) makes of the whole of `text`, in 31 bits."""
    digits = text.lstrip(" \t\n\v\f\r")
    negative = digits.startswith("-")
    digits = digits[1:] if digits[:1] in ("+", "-") else digits
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = -int(digits) if negative else int(digits)
    return number if abs(number) < 1 << 31 else None


def _descriptor(text: str) -> int:
    number = _number(text)
    if number is None or number < 0:
        raise FatalError(f"Invalid fd: {text}")
    return number


def _octal(name: str, text: str) -> int:
    if text and all(digit in "01234567" for digit in text) and int(text, 8) <= 0o7777:
        return int(text, 8)
    raise FatalError(f"{name} takes an octal argument <= 07777")


def _size_bytes(text: str) -> int:
    """A size in C's notation, 0 for what is none."""
    if not text[:1].isdigit() or not text.isascii() or "_" in text:
        return 0
    base = 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" and len(text) > 1 else 10
    try:
        return int(text, base) if text == text.strip() else 0
    except ValueError:
        return 0
