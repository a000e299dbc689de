"""What a failed step of a network means to people."""

import contextlib
import errno
import os
from collections.abc import Iterator

from bldr.api import IsolationError, SetupFailure

PRIVILEGES = (
    "bridges are made by root, or by a user with CAP_NET_ADMIN and CAP_SYS_ADMIN over the host's network: run bldr as "
    "root, in a container with `--cap-add NET_ADMIN --cap-add SYS_ADMIN`, or ask for another kind of network"
)
NO_BRIDGES = "load the kernel modules: `modprobe bridge veth`"
NO_NFTABLES = (
    "load the kernel modules: `modprobe nf_tables nft_masq nft_ct`, or ask for a bridge without NAT (`nat = false`)"
)
READ_ONLY_SYSCTL = (
    "/proc/sys is read-only, as in containers: turn forwarding on from outside (`sysctl net.ipv4.ip_forward=1`), or "
    "ask for a bridge without NAT (`nat = false`)"
)
_HINTS = {errno.EPERM: PRIVILEGES, errno.EACCES: PRIVILEGES, errno.EOPNOTSUPP: NO_BRIDGES}


class NetworkError(IsolationError):
    """A network could not be made; nothing that was begun is left."""

    @property
    def failure(self) -> SetupFailure:
        """The same for the `Exit` of a launch."""
        return SetupFailure(self.message, self.hint)


@contextlib.contextmanager
def step(what: str, hints: dict[int, str] | None = None) -> Iterator[None]:
    """Errors of the kernel's inside are those of doing `what`; `hints` by error number go before the general ones."""
    try:
        yield
    except OSError as error:
        raise failed(what, error.errno or 0, hints) from error
    except Exception as error:
        # pyroute2's own error of the kernel is no OSError, and naming its class would import pyroute2 here.
        code = getattr(error, "code", None)
        if isinstance(error, NetworkError) or not isinstance(code, int):
            raise
        raise failed(what, abs(code), hints) from error


def failed(what: str, code: int, hints: dict[int, str] | None = None) -> NetworkError:
    """The error of one step."""
    reason = os.strerror(code)
    hint = (hints or {}).get(code) or _HINTS.get(code, "")
    return NetworkError(f"cannot {what}: {reason[:1].lower()}{reason[1:]}", hint)
