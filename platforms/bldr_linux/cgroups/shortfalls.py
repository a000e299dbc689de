"""Why a limit cannot be enforced by control groups here, and what to do about it: pure text."""

import errno

from bldr.api import Shortfall

NO_SWAP_LIMIT = OSError("no limit of swap")

_DELEGATE = "run under `systemd-run --user --scope -p Delegate=yes`"
_ROOT = "run as root, or have root give you a group of your own in every hierarchy (`mkdir`, then `chown -R`)"
_BOOT = "boot with cgroup v2 (`systemd.unified_cgroup_hierarchy=1` on the kernel's command line)"
_CONTAINER = "run the container with control groups that it may write to (`--privileged`)"
_NO_CONTROLLER = (
    "allow it to users with `Delegate=cpu io memory pids` in a drop-in of `user@.service`; memory may need "
    "`cgroup_enable=memory` on the kernel's command line"
)
_SWAP = "boot with `swapaccount=1`, or turn swap off (`swapoff -a`)"
_NOT_IN_V1 = {
    "memory-high": "cgroup v1 cannot slow down what needs much memory",
    "io": "cgroup v1 does not slow down writes that go by way of the page cache",
}


def explain(limit: str, mounted: str, error: OSError | None) -> Shortfall:
    """One limit's shortfall; `mounted` is what there is ("v1", "v2" or "none"), `error` what came of the attempt."""
    if error is NO_SWAP_LIMIT:
        return Shortfall(limit, "swap is not counted, and takes what memory is denied", _SWAP)
    if mounted == "none":
        return Shortfall(limit, "no control groups are mounted", _CONTAINER)
    if mounted == "v1" and limit in _NOT_IN_V1:
        return Shortfall(limit, _NOT_IN_V1[limit], _BOOT)
    if error is None:
        return Shortfall(limit, f"the control groups here have no controller for {limit}", _NO_CONTROLLER)
    why = f"{_place(error)}: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.EROFS:
        return Shortfall(limit, why, _CONTAINER)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Shortfall(limit, why, _DELEGATE if mounted == "v2" else _ROOT)
    return Shortfall(limit, why, _NO_CONTROLLER)


def _place(error: OSError) -> str:
    """What was tried: the name of a group that could not be made says nothing to anybody."""
    path = str(error.filename or "")
    directory, _, name = path.rpartition("/")
    if name.startswith("bldr-"):
        return f'cannot make a control group in "{directory}"'
    return f'cannot use the control group "{path}"'
