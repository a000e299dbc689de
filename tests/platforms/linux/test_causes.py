"""Why no namespace can be made: the step that is refused and the kernel's switches become a reason and a remedy."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from bldr.api import SetupFailure
from bldr_linux import causes, failures, refused
from bldr_linux.causes import Machine, Refusal, explain

MAX = "/proc/sys/user/max_user_namespaces"
DEBIAN = "/proc/sys/kernel/unprivileged_userns_clone"
UBUNTU = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
OPEN = {MAX: "65536", DEBIAN: "1", UBUNTU: "0"}
CLONE = failures.explain("clone", "", "Operation not permitted", errno.EPERM)
FILTER = "a system call filter forbids them"
CASES = {
    "sysctl": (Refusal("user", errno.ENOSPC), Machine({**OPEN, MAX: "0"}), "user.max_user_namespaces is 0", "=65536`"),
    "too many": (Refusal("user", errno.ENOSPC), Machine(OPEN), "there are too many, or", "=65536`"),
    "too deep": (Refusal("user", errno.EUSERS), Machine(OPEN), "there are too many, or", "=65536`"),
    "one kind": (Refusal("net", errno.ENOSPC), Machine(OPEN), "user.max_net_namespaces", "namespaces=65536`"),
    "debian": (Refusal("user", errno.EPERM), Machine({**OPEN, DEBIAN: "0"}), "userns_clone is 0", "clone=1`"),
    "ubuntu, maps": (Refusal("maps", errno.EACCES), Machine({**OPEN, UBUNTU: "1"}), "AppArmor", "userns=0`"),
    "ubuntu, others": (Refusal("mnt", errno.EPERM), Machine({**OPEN, UBUNTU: "1"}), "AppArmor", "userns=0`"),
    "ubuntu, user": (Refusal("user", errno.EACCES), Machine({**OPEN, UBUNTU: "1"}), "AppArmor", "userns=0`"),
    # A host's switch is seen in its containers, whose own filter is in the way before it.
    "docker on ubuntu": (
        Refusal("user", errno.EPERM), Machine({**OPEN, UBUNTU: "1"}, is_filtered=True), FILTER, "seccomp=unconfined"),
    "docker": (Refusal("user", errno.EPERM), Machine(OPEN, is_filtered=True), FILTER, "seccomp=unconfined"),
    "hidden": (Refusal("user", errno.ENOSYS), Machine(OPEN, is_filtered=True), "filter hides them", "seccomp="),
    "root needs no switch": (
        Refusal("mnt", errno.EPERM), Machine({**OPEN, DEBIAN: "0", UBUNTU: "1"}, is_privileged=True, is_filtered=True),
        FILTER, "seccomp=unconfined"),
    "chroot": (Refusal("user", errno.EPERM), Machine(OPEN, is_chrooted=True), "changed by chroot", "bldr-bwrap"),
    "a profile": (
        Refusal("private", errno.EACCES), Machine(OPEN, label="docker-default"), '"docker-default"', "apparmor="),
    "few capabilities": (Refusal("owner", errno.EPERM), Machine(OPEN), "CAP_SETUID", "ordinary user"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_switch_has_its_reason_and_its_remedy(case):
    refusal, machine, cause, remedy = CASES[case]
    told = explain(CLONE, refusal, machine)
    assert told.message.startswith(f"{CLONE.message} (")
    assert cause in told.message
    assert remedy in told.hint


def test_in_a_container_switches_are_the_host_s():
    told = explain(CLONE, Refusal("user", errno.ENOSPC), Machine({**OPEN, MAX: "0"}, is_contained=True))
    assert told.hint.endswith("on the container's host")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.EIO])
def test_what_nobody_knows_the_cause_of_is_told_as_it_was(number):
    assert explain(CLONE, Refusal("user", number), Machine({}, label="unconfined")) is CLONE


def test_without_a_refused_step_the_failure_s_own_hint_is_the_remedy(monkeypatch):
    monkeypatch.setattr(causes, "try_steps", lambda owner: None)
    failure = failures.explain("proc", "/proc", "Operation not permitted", errno.EPERM)
    assert causes.of(failure, None) is failure
    assert "systempaths=unconfined" in failure.hint


def test_every_step_works_where_the_sandbox_does(sandbox):
    assert causes.try_steps(None) is None


def test_a_step_that_is_refused_is_told():
    """In a user namespace of one user nobody can become another one."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    program = "from bldr_linux import causes; print(causes.try_steps((65534, 65534)).step)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    ran = subprocess.run(command, env=env, capture_output=True, text=True)
    if "unshare:" in ran.stderr:
        pytest.skip(f"no user namespace to run in: {ran.stderr.strip()}")
    assert ran.stdout == "owner\n", ran


def test_the_kinds_are_those_of_the_program_that_tries_them():
    assert tuple(refused.KINDS) == causes._KINDS


def test_looking_finds_what_the_kernel_says():
    machine = causes.look()
    assert set(machine.switches) == {MAX, DEBIAN, UBUNTU}
    assert causes.read("/nowhere") == ""
    assert isinstance(explain(SetupFailure("x"), Refusal("user", errno.EPERM), machine), SetupFailure)


def test_a_label_of_another_module_is_not_apparmor_s(monkeypatch):
    labels = {
        "/proc/self/attr/current": "unconfined_u:unconfined_r:unconfined_t:s0",
        "/proc/self/attr/apparmor/current": "",
    }
    monkeypatch.setattr(causes, "read", lambda path: labels.get(path, ""))
    assert causes.look().label == ""
    labels["/proc/self/attr/apparmor/current"] = "docker-default (enforce)"
    assert causes.look().label == "docker-default"
