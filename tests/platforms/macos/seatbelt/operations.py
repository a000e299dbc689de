"""The operations that a profile may name, and which of them stand for others."""

from seatbelt.reader import ProfileError


class UnknownOperationError(ProfileError):
    """On a Mac: `unbound variable`, and the whole profile is refused."""


_FILE = """
file-chroot file-clone file-ioctl file-issue-extension file-link file-map-executable file-mknod file-mount
file-read-data file-read-metadata file-read-xattr file-revoke file-search file-test-existence file-unmount
file-write-acl file-write-create file-write-data file-write-flags file-write-mode file-write-owner
file-write-setugid file-write-times file-write-unlink file-write-xattr
"""
_REST = """
appleevent-send authorization-right-obtain darwin-notification-post device-camera device-microphone
distributed-notification-post dynamic-code-generation generic-issue-extension hid-control
iokit-get-properties iokit-issue-extension iokit-open iokit-set-properties
ipc-posix-issue-extension ipc-posix-sem ipc-posix-shm-read-data ipc-posix-shm-read-metadata ipc-posix-shm-write-create
ipc-posix-shm-write-data ipc-posix-shm-write-unlink ipc-sysv-msg ipc-sysv-sem ipc-sysv-shm
job-creation load-unsigned-code lsopen
mach-bootstrap mach-cross-domain-lookup mach-derive-port mach-host-exception-port-set mach-host-special-port-set
mach-issue-extension mach-lookup mach-per-user-lookup mach-priv-host-port mach-priv-task-port mach-register
mach-task-name mach-task-special-port-set
network-bind network-inbound network-outbound nvram-delete nvram-get nvram-set
process-codesigning-status-get process-codesigning-status-set process-exec process-exec-interpreter process-fork
process-info-codesignature process-info-dirtycontrol process-info-listpids process-info-pidfdinfo process-info-pidinfo
process-info-rusage process-info-setcontrol pseudo-tty qtn-download qtn-sandbox qtn-user signal socket-ioctl
sysctl-read sysctl-write syscall-mach syscall-unix
system-acct system-audit system-chud system-debug system-fsctl system-info
system-kext-load system-kext-query system-kext-unload system-lcid system-mac-label system-mac-syscall system-nfssvc
system-privilege system-reboot system-sched system-set-time system-socket system-suspend-resume system-swap
system-write-bootstrap user-preference-read user-preference-write
"""
SINGLE = frozenset((_FILE + _REST).split())
_GROUPS = """
file* file-read* file-write* iokit* ipc* ipc-posix* ipc-posix-shm* ipc-posix-shm-read* ipc-posix-shm-write* ipc-sysv*
mach* mach-host* mach-priv* network* nvram* process* process-codesigning-status* process-exec* process-info* sysctl*
syscall* system* system-kext* user-preference* device* qtn*
"""
GROUPS = frozenset(_GROUPS.split())
_BOTH = {"ipc-posix-shm": "ipc-posix-shm*"}
"""Names that were single once and stand for a group now."""

# What one source counts as part of an operation and another one does not.
_DISPUTED = {
    "process-exec": ("process-exec-interpreter",),
    "file-read*": ("file-test-existence",),
    "file-read-metadata": ("file-test-existence",),
    "file-write*": ("file-link", "file-clone", "file-mknod"),
    "file-write-create": ("file-link", "file-clone", "file-mknod"),
    "network-inbound": ("network-bind",),
}


def check(name: str) -> str:
    """The operation's name. Raises UnknownOperationError."""
    name = _BOTH.get(name, name)
    if name == "default" or name in SINGLE or name in GROUPS:
        return name
    raise UnknownOperationError(f'no operation "{name}"')


def covers(named: str, asked: str, *, wide: bool) -> bool:
    """Whether a rule for `named` is about the single operation `asked`; `wide` counts what is disputed."""
    if named == asked or (wide and asked in _DISPUTED.get(named, ())):
        return True
    return named.endswith("*") and (asked == named[:-1] or asked.startswith(f"{named[:-1]}-"))


def kind(name: str) -> str:
    """What the targets of an operation are: what filters it may have."""
    for start, found in (
        ("file", "path"),
        ("process-exec", "path"),
        ("process*", "path"),
        ("process-info", "process"),
        ("signal", "process"),
        ("mach-lookup", "service"),
        ("mach-register", "service"),
        ("mach-per-user", "service"),
        ("mach-priv-task", "process"),
        ("mach-task", "process"),
        ("network", "network"),
        ("ipc-posix", "ipc"),
        ("sysctl", "sysctl"),
        ("system-socket", "socket"),
        ("appleevent", "appleevent"),
        ("iokit", "iokit"),
        ("user-preference", "preference"),
        ("authorization-right", "right"),
        ("pseudo-tty", "path"),
    ):
        if name.startswith(start):
            return found
    return "none"
