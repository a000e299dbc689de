"""What every program on macOS needs before it does anything of its own, as rules: a profile that denies by default and
leaves one of these out starts nothing, or starts programs that fail in strange ways.

None of it has anything of a user's or of a project's in it. Sources: docs/decisions/macos.md.
"""

from collections.abc import Iterator, Sequence

from bldr_macos.sbpl import Form, Word, call, literal, regex, rules, subpath, unfiltered

READ = ("file-read*", "file-test-existence")
"""Contents, names, attributes, and existence, which sources differ on whether the first stands for it."""

SEE = ("file-read-metadata", "file-test-existence")
RUN = ("process-exec", "process-exec-interpreter")
"""What is named by a script's first line is asked for separately."""

LINKS = {"/tmp": "/private/tmp", "/var": "/private/var", "/etc": "/private/etc"}  # noqa: S108
"""Links in the root directory of every Mac, by which paths are known and which no rule matches."""

_LIBRARIES = (
    "/usr/lib",
    "/System/Library/Frameworks",
    "/System/Library/PrivateFrameworks",
    # Since macOS 13 the dynamic loader's cache and parts of the system are on volumes of their own.
    "/System/Cryptexes/OS",
    "/System/Cryptexes/App",
    "/System/Volumes/Preboot/Cryptexes",
    # Before that, and for programs of the other architecture.
    "/private/var/db/dyld",
    "/Library/Apple/usr/libexec/oah",
    "/System/Library/Apple/usr/libexec/oah",
)
_DATA = (
    "/usr/share/zoneinfo",
    "/private/var/db/timezone",
    "/usr/share/locale",
)
_FILES = (
    "/",  # the dynamic loader of macOS 26 aborts where it cannot read this directory
    "/System/Library/CoreServices/SystemVersion.plist",
    "/System/Library/CoreServices/SystemVersionCompat.plist",
    "/private/var/select/sh",  # /bin/sh reads it to learn which shell it is to be
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/dtracehelper")
_STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr")
_OWN_TERMINALS = call("require-all", regex(r"^/dev/ttys[0-9]+$"), call("extension", "com.apple.sandbox.pty"))
"""The other ends of those that the action itself opened by /dev/ptmx, which grantpt(3) makes the kernel remember: in
every other terminal somebody types."""

_SEEN = (
    *LINKS,
    "/dev",
    "/private",
    "/private/etc",
    "/private/tmp",
    "/private/var",
    "/private/var/tmp",
    "/private/var/db",
    "/private/var/folders",
    "/private/var/select",
    "/System",
    "/System/Cryptexes",
    "/System/Library",
    "/System/Library/Apple",
    "/System/Library/Apple/usr",
    "/System/Library/Apple/usr/libexec",
    "/System/Library/CoreServices",
    "/System/Volumes",
    "/System/Volumes/Preboot",
    "/Library",
    "/Library/Apple",
    "/Library/Apple/usr",
    "/Library/Apple/usr/libexec",
    "/usr",
    "/usr/share",
)
_SERVICES = ("com.apple.system.opendirectoryd.libinfo", "com.apple.logd", "com.apple.system.logger")
"""Users and groups by name, and two places to log to."""

_NETWORK_SERVICES = (
    "com.apple.SystemConfiguration.configd",
    "com.apple.SystemConfiguration.DNSConfiguration",
    "com.apple.dnssd.service",
    "com.apple.trustd",
    "com.apple.trustd.agent",
)
_NETWORK_FILES = (
    "/private/etc/hosts",
    "/private/etc/protocols",
    "/private/etc/resolv.conf",
    "/private/etc/services",
    "/private/etc/ssl/cert.pem",
    "/private/etc/ssl/openssl.cnf",
    "/private/var/run/resolv.conf",
)
_RESOLVER = "/private/var/run/mDNSResponder"


def system_rules(seen: tuple[str, ...]) -> Iterator[Form]:
    """For every program. `seen` are what `getconf DARWIN_USER_TEMP_DIR` and `_CACHE_DIR` name, and all above them: they
    are shared by all actions and applications of the user, so that they can be seen, and what is in them cannot."""
    yield unfiltered("allow", "process-fork")
    yield from rules("allow", ("signal",), [call("target", Word("same-sandbox"))])
    yield from rules("allow", ("process-info*",), [call("target", Word("same-sandbox"))])
    yield unfiltered("allow", "sysctl-read")
    yield unfiltered("allow", "ipc-posix*")
    yield from rules("allow", ("system-socket",), [call("socket-domain", Word("AF_UNIX"))])
    yield from rules("allow", ("mach-lookup",), [call("global-name", name) for name in _SERVICES])
    yield from rules("allow", READ, [*map(literal, _FILES), *map(subpath, _DATA)])
    yield from rules("allow", (*READ, "file-map-executable"), [*map(subpath, _LIBRARIES)])
    yield from rules("allow", SEE, [*map(literal, dict.fromkeys((*_SEEN, *seen)))])
    yield from _device_rules()


def network_rules() -> Iterator[Form]:
    """The machine's own network, names, and certificates. Sockets of the file system are no part of it: behind them are
    programs that act for the user (ssh-agent, Docker)."""
    yield from _address_rules(["*:*"])
    yield unfiltered("allow", "system-socket")
    yield from rules("allow", ("network-outbound",), [literal(_RESOLVER)])
    yield from rules("allow", ("mach-lookup",), [call("global-name", name) for name in _NETWORK_SERVICES])
    yield from rules("allow", READ, [*map(literal, _NETWORK_FILES)])
    yield from rules("allow", SEE, [literal(path) for path in ("/private/etc/ssl", "/private/var/run", _RESOLVER)])


def loopback_rules(ports: Sequence[str]) -> Iterator[Form]:
    """These ports of the machine's own loopback: the kernel knows no other, and no host but this one and all."""
    yield from _address_rules([f"localhost:{port}" for port in ports])


def _address_rules(places: Sequence[str]) -> Iterator[Form]:
    bind = [call("local", Word("ip"), place) for place in places]
    yield from rules("allow", ("network-outbound",), [call("remote", Word("ip"), place) for place in places])
    yield from rules("allow", ("network-bind", "network-inbound"), bind)


def _device_rules() -> Iterator[Form]:
    nodes = [*map(literal, (*_DEVICES, *_STREAMS)), subpath("/dev/fd"), _OWN_TERMINALS]
    yield from rules("allow", (*READ, "file-write-data", "file-ioctl"), nodes)
    yield unfiltered("allow", "pseudo-tty")
