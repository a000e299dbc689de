"""Platforms to run on, and values to check laws with."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bldr.api import (
    Bridge,
    Input,
    Link,
    MadeFile,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    ResourceLimits,
    Sandbox,
    SandboxSpec,
    SpecError,
    Temp,
)
from bldr.hermetic import HermeticExecutor, HermeticSpecBuilder, Mode, check_spec
from bldr_plain.sandbox import PlainSandbox

settings.register_profile(
    "bldr", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("bldr")


class Machine:
    """A platform with the strongest demand that it can meet."""

    def __init__(self, sandbox: Sandbox, isolation: Mode) -> None:
        self.sandbox = sandbox
        self.isolation = isolation
        self.is_hermetic = isolation == "require"

    def create(self, spec: SandboxSpec) -> HermeticExecutor:
        return HermeticExecutor.create(spec, isolation=self.isolation, sandboxes=[self.sandbox])


def _linux() -> Machine:
    if sys.platform != "linux":
        pytest.skip("the Linux sandbox needs Linux")
    from bldr_linux.sandbox import LinuxSandbox

    sandbox = LinuxSandbox()
    probe = sandbox.probe()
    if not probe.supported:
        pytest.skip(f"no Linux sandbox here: {'; '.join(sorted({short.why for short in probe.shortfalls}))}")
    return Machine(sandbox, "require")


@pytest.fixture(params=["plain", "linux"])
def machine(request):
    return Machine(PlainSandbox(), "best") if request.param == "plain" else _linux()


@pytest.fixture
def hermetic_machine():
    return _linux()


@pytest.fixture
def place(tmp_path):
    """A directory with `src/hello.txt` in it, which every user of this machine may enter."""
    os.mkdir(tmp_path / "src")
    (tmp_path / "src" / "hello.txt").write_text("hello\n")
    return tmp_path


@pytest.fixture
def build(place):
    """A function that starts a build spec which reads `src` and makes the given outputs."""

    def start(*outputs: str) -> HermeticSpecBuilder:
        return HermeticSpecBuilder.for_build([str(place / "src")], [f"{place}/{name}" for name in outputs])

    return start


_PATHS = ["/a", "/a/x", "/b", "/b/x", "/c"]
_SOURCES = [""] * 6 + ["/a", "/b", "/c/x"]
_LIMIT_NAMES = ["memory", "cpu", "processes"]


def _some(strategy, most=2):
    return st.lists(strategy, max_size=most, unique=True).map(tuple)


def _is_valid(spec: SandboxSpec) -> bool:
    try:
        check_spec(spec)
    except SpecError:
        return False
    return True


def _specs() -> st.SearchStrategy[SandboxSpec]:
    bound = st.sampled_from([None, 1, 2, 3])
    return st.builds(
        SandboxSpec,
        inputs=_some(st.builds(Input, st.sampled_from(_PATHS), st.sampled_from(_SOURCES))),
        outputs=_some(st.builds(Output, st.sampled_from(_PATHS), st.sampled_from(_SOURCES), st.booleans()), 1),
        temps=_some(st.builds(Temp, st.sampled_from(["/t", "/t/x", "/a/x"]), st.sampled_from([0, 1, 2]))),
        links=_some(st.builds(Link, st.sampled_from(["/l", "/m"]), st.just("x"))),
        files=_some(st.builds(MadeFile, st.sampled_from(["/f", "/g"]), st.just(b""))),
        env=_some(st.tuples(st.sampled_from("ABC"), st.sampled_from("1112"))),
        devices=_some(st.sampled_from(["/dev/d", "/dev/e/f"])),
        sysfs=st.booleans(),
        filters=_some(st.sampled_from([b"filter 1", b"filter 2"])),
        network=st.one_of(
            st.just(NetworkPolicy(host=True)),
            st.builds(NetworkPolicy, _some(st.sampled_from(["h:1", "i:2"]))),
            st.builds(NetworkPolicy, bridge=st.builds(Bridge, st.sampled_from(["b", "c"]), nat=st.booleans())),
        ),
        resources=st.builds(
            ResourceLimits,
            memory_bytes=bound,
            cpu_time_s=bound,
            cpus=bound,
            log_bytes=bound,
            processes=bound,
            required=st.frozensets(st.sampled_from(_LIMIT_NAMES)),
        ),
        process=st.builds(
            ProcessPolicy,
            max_children=bound,
            kill_on_parent_exit=st.booleans(),
            map_caller=st.booleans(),
            on_violation=st.sampled_from(["deny", "kill"]),
        ),
    ).filter(_is_valid)


@pytest.fixture(scope="session")
def specs():
    """A strategy of valid specs that collide often."""
    return _specs()
