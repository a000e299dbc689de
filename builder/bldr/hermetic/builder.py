"""Builds checked specs step by step."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec

from bldr.api import (
    Input,
    Link,
    MadeFile,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    ResourceLimits,
    SandboxSpec,
    Temp,
)
from bldr.hermetic.check import below, check_spec
from bldr.hermetic.spec import normal

USR_LINKS = tuple(Link(f"/{name}", f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin"))
"""What programs expect beside `/usr`."""

SCRATCH = ("/tmp", "/var/tmp", "/scratch")  # noqa: S108  # paths in the sandbox, fresh for every run
"""Where scratch space may stand, in the order tried."""


def made_etc(process: ProcessPolicy, network: NetworkPolicy = NetworkPolicy()) -> tuple[MadeFile, ...]:  # noqa: B008
    """The little of `/etc` that programs need to know who they are; nothing of it is the host's."""
    users = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/:/bin/false"]
    groups = ["root:x:0:", "nogroup:x:65534:"]
    if process.uid:
        users.insert(1, f"{process.user}:x:{process.uid}:{process.gid}::/tmp:/bin/sh")
        groups.insert(1, f"{process.user}:x:{process.gid}:")
    hosts = [f"127.0.0.1 localhost {process.hostname}", "::1 localhost"]
    asks_servers = network.host or (network.bridge is not None and network.bridge.nat)
    lookup = ["passwd: files", "group: files", "hosts: files dns" if asks_servers else "hosts: files"]
    files = {"group": groups, "hosts": hosts, "nsswitch.conf": lookup, "passwd": users}
    texts = {name: "".join(f"{line}\n" for line in lines) for name, lines in files.items()}
    return tuple(MadeFile(f"/etc/{name}", text.encode()) for name, text in texts.items())


def uncovered(files: Iterable[MadeFile], inputs: Sequence[Input]) -> tuple[MadeFile, ...]:
    """The made-up files that no input brings along: who declares `/etc/passwd` gets the real one."""
    return tuple(file for file in files if all(below(file.path, place.path) is None for place in inputs))


class SandboxSpecBuilder:
    """Collects what an action may do; nothing is allowed that was not said. `build` checks and freezes it.

    Every method but `build` changes the builder and returns it. Relative paths are errors, found by `build`.
    """

    def __init__(self) -> None:
        self._inputs: list[Input] = []
        self._outputs: list[Output] = []
        self._temps: list[Temp] = []
        self._env: dict[str, str] = {}
        self._links: list[Link] = []
        self._files: list[MadeFile] = []
        self._devices: list[str] = []
        self._filters: list[bytes] = []
        self._sysfs = False
        self._network = NetworkPolicy.hermetic()
        self._resources = ResourceLimits()
        # Who embeds bldr writes to directories of their own: as root, no other user could.
        self._process = ProcessPolicy(map_caller=True)

    def input(self, path: str, source: str = "") -> Self:
        """I: the file or directory `source` (the same path where left out) may be read at `path`."""
        self._inputs.append(Input(path, source))
        return self

    def output(self, path: str, source: str = "", *, is_directory: bool = False) -> Self:
        """O: may be created and changed. Where nothing stands yet, a file is made, or a directory (trailing slash)."""
        trimmed = path.rstrip("/") if len(path) > 1 else path
        self._outputs.append(Output(trimmed, source, is_directory or trimmed != path))
        return self

    def temp(self, path: str = SCRATCH[0], size_bytes: int = 0) -> Self:
        """T: empty scratch space, gone after the run."""
        self._temps.append(Temp(path, size_bytes))
        return self

    def env(self, name: str, value: str) -> Self:
        """E: one variable; the last value of a name counts."""
        self._env[name] = value
        return self

    def link(self, path: str, target: str) -> Self:
        """A symbolic link that exists only in the sandbox."""
        self._links.append(Link(path, target))
        return self

    def file(self, path: str, content: bytes, mode: int = 0o444) -> Self:
        """A small file that exists only in the sandbox."""
        self._files.append(MadeFile(path, content, mode))
        return self

    def device(self, path: str) -> Self:
        """A device node of the machine's, as "/dev/dri/renderD128", may be used."""
        self._devices.append(path)
        return self

    def syscall_filter(self, program: bytes) -> Self:
        """A seccomp program (an array of `struct sock_filter`) is installed after the platform's own."""
        self._filters.append(program)
        return self

    def sysfs(self) -> Self:
        """/sys is there, read-only."""
        self._sysfs = True
        return self

    def with_network(self, policy: NetworkPolicy) -> Self:
        """N: declare hosts that may be reached, or a bridge to join; without this call there are none."""
        self._network = policy
        return self

    def with_resources(self, limits: ResourceLimits) -> Self:
        self._resources = limits
        return self

    def with_process(self, policy: ProcessPolicy) -> Self:
        """Who the action is. A policy replaces the builder's own, which runs actions as the calling user."""
        self._process = policy
        return self

    def build(self) -> SandboxSpec:
        """Raises SpecError with the offending pair."""
        spec = SandboxSpec(
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            temps=tuple(self._temps),
            env=tuple(self._env.items()),
            links=(*self._links, *self._usr_links()),
            files=tuple(self._files),
            devices=tuple(self._devices),
            filters=tuple(self._filters),
            sysfs=self._sysfs,
            network=self._network,
            resources=self._resources,
            process=self._process,
        )
        check_spec(spec)
        return normal(spec)

    def _usr_links(self) -> tuple[Link, ...]:
        if not any(place.path == "/usr" for place in self._inputs):
            return ()
        taken = {place.path for place in self._inputs} | {link.path for link in self._links}
        return tuple(link for link in USR_LINKS if link.path not in taken)


class HermeticSpecBuilder(SandboxSpecBuilder):
    """Starts from what a hermetic action has: fixed environment, scratch, made-up `/etc`, limits, no network."""

    @classmethod
    def for_build(
        cls,
        inputs: Iterable[str | Input],
        outputs: Iterable[str | Output],
        *,
        toolchains: Iterable[str] = ("/usr",),
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """An action that makes `outputs` (a trailing slash declares a directory) of `inputs` and `toolchains`."""
        builder = cls()
        for source in dict.fromkeys((*inputs, *toolchains)):
            builder._inputs.append(Input(source) if isinstance(source, str) else source)
        for made in dict.fromkeys(outputs):
            if isinstance(made, str):
                builder.output(made)
            else:
                builder._outputs.append(made)
        scratch = builder._free_scratch()
        builder.temp(scratch)
        builder._env.update(_hermetic_env(scratch))
        builder._env.update(env or {})
        builder._resources = ResourceLimits.hermetic()
        builder._process = msgspec.structs.replace(ProcessPolicy.hermetic(), map_caller=True)
        builder._files.extend(uncovered(made_etc(builder._process), builder._inputs))
        return builder

    @classmethod
    def for_test(
        cls,
        inputs: Iterable[str],
        *,
        data: Iterable[str] = (),
        toolchains: Iterable[str] = ("/usr",),
        env: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
        results: str = "",
    ) -> Self:
        """A test of `inputs` with `data`: writes nothing but scratch and the file `results`, and ends in time."""
        builder = cls.for_build((*inputs, *data), [results] if results else [], toolchains=toolchains, env=env)
        builder._env.setdefault("TEST_TMPDIR", builder._temps[0].path)
        if results:
            builder._env.setdefault("XML_OUTPUT_FILE", results)
        builder._resources = msgspec.structs.replace(builder._resources, wall_time_s=timeout_s)
        return builder

    def _free_scratch(self) -> str:
        """The first place that holds no output; `build` reports the pair where all of them do."""
        free = (path for path in SCRATCH if all(below(output.path, path) is None for output in self._outputs))
        return next(free, SCRATCH[0])


def _hermetic_env(scratch: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": "315532800",
        "USER": "builder",
    }
