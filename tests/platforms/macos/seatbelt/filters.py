"""Filters of rules: from their forms to functions of a target. One that is unknown, or that is not about the targets of
the rule's operations, is an error, as on a Mac."""

import re
from collections.abc import Callable

from seatbelt.questions import Target
from seatbelt.reader import ProfileError, Regex, Symbol


class Filter:
    """A function of targets that remembers the paths it was made of, each with the filter's name."""

    def __init__(self, matches: Callable[[Target], bool], paths: tuple[tuple[str, str], ...] = ()) -> None:
        self._matches = matches
        self.paths = paths

    def __call__(self, target: Target) -> bool:
        return self._matches(target)


_VNODE_TYPES = ["REGULAR-FILE", "DIRECTORY", "SYMLINK", "CHARACTER-DEVICE", "BLOCK-DEVICE", "FIFO", "SOCKET", "TTY"]
_PROTOCOLS = ["ip", "ip4", "ip6", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"]
_TARGETS = ["self", "pgrp", "others", "children", "same-sandbox"]
_NAMES = {
    "global-name": "service",
    "local-name": "service",
    "ipc-posix-name": "ipc",
    "sysctl-name": "sysctl",
    "appleevent-destination": "appleevent",
    "iokit-user-client-class": "iokit",
    "iokit-registry-entry-class": "iokit",
    "preference-domain": "preference",
    "right-name": "right",
}
_BAD_PATH = re.compile(r"//|/\.\.?(?:/|\Z)|\0")


def compiled(form: tuple, kinds: set[str], value: Callable[[object], object]) -> Filter:
    """The function that a filter's form stands for; `kinds` are what the rule's operations are about, and `value` reads
    an expression. Raises ProfileError."""
    if not isinstance(form, tuple) or not form or not isinstance(form[0], Symbol):
        raise ProfileError(f"{form!r} is no filter")
    name, arguments = form[0], form[1:]
    if name in ("require-all", "require-any", "require-not"):
        return _combined(name, [compiled(part, kinds, value) for part in arguments])
    if not arguments:
        raise ProfileError(f"({name}) says nothing")
    if name in ("target", "vnode-type", "remote", "local", "socket-domain", "extension"):
        return _special(name, arguments, kinds, value)
    values = [value(argument) for argument in arguments]
    return _any([_simple(name, kinds, found) for found in values])


def path_text(found: object, *, of: str) -> str:
    """A rule's path as it must be to match anything: absolute and normal. Raises ProfileError."""
    if not isinstance(found, str) or isinstance(found, Regex | Symbol):
        raise ProfileError(f"{of} wants a string and got {found!r}")
    if not found.startswith("/") or _BAD_PATH.search(found):
        raise ProfileError(f"the path {found!r} of {of} is not absolute and normal")
    if found != "/" and found.endswith("/"):
        raise ProfileError(f"the path {found!r} of {of} ends with a slash, and matches nothing")
    return found


def _combined(name: str, parts: list[Filter]) -> Filter:
    if not parts or (name == "require-not" and len(parts) != 1):
        raise ProfileError(f"{name} of {len(parts)} filters")
    if name == "require-any":
        return _any(parts)
    paths = tuple(path for part in parts for path in part.paths)
    if name == "require-not":
        return Filter(lambda target: not parts[0](target), paths)
    return Filter(lambda target: all(part(target) for part in parts), paths)


def _any(parts: list[Filter]) -> Filter:
    paths = tuple(path for part in parts for path in part.paths)
    return parts[0] if len(parts) == 1 else Filter(lambda target: any(part(target) for part in parts), paths)


def _demand(name: str, kind: str, kinds: set[str]) -> None:
    """A filter in a rule of an operation that has no such targets is refused."""
    if wrong := kinds - {kind}:
        raise ProfileError(f"the filter {name} is for {kind}, and the rule is about {', '.join(sorted(wrong))} too")


def _simple(name: str, kinds: set[str], found: object) -> Filter:
    if name in (
        "literal",
        "path",
        "path-literal",
        "subpath",
        "prefix",
        "path-prefix",
        "regex",
        "path-regex",
        "path-ancestors",
    ):
        # A socket of the file system is a target of the network, too.
        _demand(name, "path", {"path" if kind == "network" else kind for kind in kinds})
        return Filter(_path_matcher(name, found), ((name, str(found)),))
    stem = name.removesuffix("-regex").removesuffix("-prefix")
    if stem not in _NAMES:
        raise ProfileError(f"no filter ({name})")
    _demand(name, _NAMES[stem], kinds)
    if name.endswith("-regex"):
        return Filter(_matching(found, lambda target: target.name))
    if not isinstance(found, str) or not found:
        raise ProfileError(f"{name} wants a string and got {found!r}")
    if name.endswith("-prefix"):
        return Filter(lambda target: target.name is not None and target.name.startswith(found))
    return Filter(lambda target: target.name == found)


def _path_matcher(name: str, found: object) -> Callable[[Target], bool]:
    if name in ("regex", "path-regex"):
        return _matching(found, lambda target: target.path)
    if name in ("prefix", "path-prefix"):
        if not isinstance(found, str) or not found.startswith("/") or _BAD_PATH.search(found.rstrip("/.") or "/"):
            raise ProfileError(f"the prefix {found!r} is of no path")
        return lambda target: target.path is not None and target.path.startswith(found)
    path = path_text(found, of=name)
    if name in ("literal", "path", "path-literal"):
        return lambda target: target.path == path
    below = path if path == "/" else f"{path}/"
    if name == "path-ancestors":
        return lambda target: target.path is not None and (target.path == "/" or path.startswith(f"{target.path}/"))
    return lambda target: target.path is not None and (target.path == path or target.path.startswith(below))


def _matching(found: object, part: Callable[[Target], str | None]) -> Callable[[Target], bool]:
    """POSIX-like; only what it has in common with Python is understood."""
    if not isinstance(found, str) or isinstance(found, Symbol):
        raise ProfileError(f"a regex wants a string and got {found!r}")
    if re.search(r"\(\?|\\[0-9A-Za-z]|[*+?]\?|\*\+", found):
        raise ProfileError(f"the regex {found!r} has something that the kernel's matcher does not know")
    try:
        pattern = re.compile(found, re.DOTALL)
    except re.error as error:
        raise ProfileError(f"the regex {found!r}: {error}") from None
    return lambda target: (text := part(target)) is not None and pattern.search(text) is not None


def _special(name: str, arguments: tuple, kinds: set[str], value: Callable[[object], object]) -> Filter:
    if name == "target":
        _demand(name, "process", kinds)
        return _process_filter(arguments)
    if name == "vnode-type":
        _demand(name, "path", kinds)
        if unknown := [word for word in arguments if word not in _VNODE_TYPES]:
            raise ProfileError(f"no vnode-type {unknown[0]}")
        return Filter(lambda target: target.vnode_type in arguments)
    if name == "extension":
        _demand(name, "path", kinds)
        if not all(isinstance(word, str) and not isinstance(word, Symbol) for word in arguments):
            raise ProfileError(f"extension wants strings and got {arguments!r}")
        return Filter(lambda target: target.extension in arguments)
    if name == "socket-domain":
        _demand(name, "socket", kinds)
        return Filter(lambda target: target.name in arguments)
    _demand(name, "network", kinds)
    if arguments[0] == "unix-socket" or arguments[0] == "unix":
        inner = [compiled(part, {"path"}, value) for part in arguments[1:]]
        return Filter(lambda target: target.protocol == "unix" and all(part(target) for part in inner))
    if arguments[0] not in _PROTOCOLS or len(arguments) > 2:
        raise ProfileError(f"no address ({name} {' '.join(map(str, arguments))})")
    return _address_filter(name, arguments[0], value(arguments[1]) if len(arguments) == 2 else "*:*")


def _process_filter(arguments: tuple) -> Filter:
    """The process itself is of its own sandbox and of its own group, and its children inherit the sandbox."""
    if len(arguments) != 1 or arguments[0] not in _TARGETS:
        raise ProfileError(f"no target {arguments!r}")
    within = {"same-sandbox": ("self", "children", "same-sandbox"), "pgrp": ("self", "pgrp")}
    wanted = within.get(arguments[0], (str(arguments[0]),))
    return Filter(lambda target: target.process in wanted)


def _address_filter(name: str, protocol: str, address: object) -> Filter:
    found = re.fullmatch(r"(\*|localhost):(\*|\d{1,5})", address) if isinstance(address, str) else None
    if found is None:
        raise ProfileError(f"the host of {address!r} must be * or localhost")
    host, port = found.groups()

    def matches(target: Target) -> bool:
        there = target.remote if name == "remote" else target.local
        if there is None or target.protocol == "unix":
            return False
        if protocol.rstrip("46") not in ("ip", target.protocol):
            return False
        if protocol[-1] in "46" and (":" in there[0]) != (protocol[-1] == "6"):
            return False
        is_local = there[0] in ("::1", "localhost") or there[0].startswith("127.")
        return (host == "*" or is_local) and port in ("*", str(there[1]))

    return Filter(matches)
