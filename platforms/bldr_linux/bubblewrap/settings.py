"""The options checked against each other and against what this system has."""

from __future__ import annotations

import os

from bldr_linux.bubblewrap.failure import FatalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.bubblewrap.values import Options


def check(options: Options) -> None:
    """Refuse options that contradict each other."""
    if options.userns_block_fd is not None:
        if not options.unshare_user:
            raise FatalError("--userns-block-fd requires --unshare-user")
        if options.info_fd is None:
            raise FatalError("--userns-block-fd requires --info-fd")
    if options.userns_fd is not None and options.unshare_user:
        raise FatalError("--userns not compatible --unshare-user")
    if options.userns_fd is not None and options.unshare_user_try:
        raise FatalError("--userns not compatible --unshare-user-try")
    if options.disable_userns and not options.unshare_user:
        raise FatalError("--disable-userns requires --unshare-user")
    if options.disable_userns and options.userns_block_fd is not None:
        raise FatalError("--disable-userns is not compatible with  --userns-block-fd")


def complete(options: Options, uid: int) -> Options:
    """What the options leave to the system: a user namespace for whoever needs one, and the `-try` kinds."""
    unshare_user = options.unshare_user or (uid != 0 and options.userns_fd is None)
    if options.unshare_user_try and _user_namespaces():
        unshare_user = True
    unshare_cgroup = options.unshare_cgroup
    if options.unshare_cgroup_try:
        unshare_cgroup = os.path.exists("/proc/self/ns/cgroup")
    elif unshare_cgroup and not os.path.exists("/proc/self/ns/cgroup"):
        raise FatalError("Cannot create new cgroup namespace because the kernel does not support it")
    completed: Options = options.changed(unshare_user=unshare_user, unshare_cgroup=unshare_cgroup)
    return completed


def check_identity(options: Options, uid: int, gid: int) -> None:
    """Refuse what only a namespace that is not asked for could give."""
    own_users = options.unshare_user or options.userns_fd is not None
    if not own_users and options.uid not in (None, uid):
        raise FatalError("Specifying --uid requires --unshare-user or --userns")
    if not own_users and options.gid not in (None, gid):
        raise FatalError("Specifying --gid requires --unshare-user or --userns")
    if not options.unshare_uts and options.hostname is not None:
        raise FatalError("Specifying --hostname requires --unshare-uts")
    if options.as_pid_1 and not options.unshare_pid:
        raise FatalError("Specifying --as-pid-1 requires --unshare-pid")
    if options.as_pid_1 and options.lock_files:
        raise FatalError("Specifying --as-pid-1 and --lock-file is not permitted")


def _user_namespaces() -> bool:
    if not os.path.exists("/proc/self/ns/user"):
        return False
    return not (
        _begins("/sys/module/user_namespace/parameters/enable", b"N")
        or _begins("/proc/sys/user/max_user_namespaces", b"0\n")
    )


def _begins(path: str, start: bytes) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(fd, 64).startswith(start)
    except OSError:
        return False
    finally:
        os.close(fd)
