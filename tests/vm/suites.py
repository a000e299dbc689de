"""What runs inside the virtual machine: the only list of it, read by the host and by the guest."""

from typing import NamedTuple

USER_ID = 1000  # the ordinary user of the guest
ALL = ("cpu", "io", "memory", "pids")
DELEGATED = ("cpu", "memory", "pids")  # what systemd delegates to a user's manager

# Paths below the checkout. Everything in them runs, whatever its markers.
TESTS = ("tests/vm", "tests/platforms/linux/cgroups")


class Suite(NamedTuple):
    """One run of pytest inside: who runs it, in which control group, on which tests."""

    name: str
    user_id: int
    group: str  # below /sys/fs/cgroup, laid out as systemd does it
    delegated: str  # the uppermost group that belongs to the user; empty: none
    controllers: tuple[str, ...]
    tests: tuple[str, ...] = TESTS


SUITES = (
    Suite("root", 0, "system.slice/tests.service", "", ALL),
    Suite(
        "user",
        USER_ID,
        "user.slice/user-1000.slice/user@1000.service/app.slice/tests.scope",
        "user.slice/user-1000.slice/user@1000.service",
        DELEGATED,
    ),
)
