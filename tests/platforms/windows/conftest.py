"""A Windows that only remembers what it was asked, and a launcher on the real one."""

import itertools
import os
import select
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field

import msgspec
import pytest

from bldr.api import Exit, Launch, ResourceLimits, SandboxSpec, StagedTree, Temp
from bldr_windows.win32 import Accounting, Extended, Process, Rate, TokenFacts

PATIENCE_S = 60


class RecordedWindows:
    """`Win32` without a Windows: it remembers all that it was asked, and takes the limits of `takes`.

    A process that it starts runs until the test says that it has ended.
    """

    def __init__(self, takes=("extended", "rate"), integrity=0x1000, privileges=(), elevated=False):
        self.calls = []
        self.takes = takes
        self.token = TokenFacts(integrity, privileges, elevated)
        self.has = {"extended": Extended(), "rate": Rate()}
        self.used = Accounting()
        self.handles = itertools.count(1000)
        self.open = set()
        self.codes = {}
        self.said = []
        self.refusals = {}
        self.suspended = {}
        self.copies = True

    def _handle(self):
        handle = next(self.handles)
        self.open.add(handle)
        return handle

    def _note(self, name, *words):
        self.calls.append((name, *words))
        if name in self.refusals:
            raise self.refusals[name]

    def named(self, name):
        return [words for called, *words in self.calls if called == name]

    def windows_directory(self):
        return "C:\\Windows"

    def create_job(self):
        self._note("create_job")
        return self._handle()

    def set_extended(self, job, limits):
        self._note("set_extended", limits)
        if "extended" in self.takes:
            self.has["extended"] = msgspec.structs.replace(
                limits,
                process_memory_bytes=limits.process_memory_bytes & ~0xFFF,  # the kernel counts pages
                job_memory_bytes=limits.job_memory_bytes & ~0xFFF,
            )

    def extended(self, job):
        return self.has["extended"]

    def set_rate(self, job, rate):
        self._note("set_rate", rate)
        if "rate" in self.takes:
            self.has["rate"] = rate

    def rate(self, job):
        return self.has["rate"]

    def accounting(self, job):
        return self.used

    def programs(self, job):
        return ("C:\\python.exe",) * self.used.active

    def terminate_job(self, job, exit_code):
        self._note("terminate_job", job, exit_code)
        self.used = msgspec.structs.replace(self.used, active=0)
        self.codes = {process: exit_code if code is None else code for process, code in self.codes.items()}

    def is_in_job(self, process, job):
        return True

    def assign(self, process, job):
        self._note("assign", process, job)

    def create_port(self):
        return self._handle()

    def associate(self, job, port, key):
        self._note("associate", job, key)

    def post(self, port, message):
        self.said.append(message)

    def next_message(self, port, timeout_s):
        until_s = time.monotonic() + (PATIENCE_S if timeout_s is None else timeout_s)
        while not self.said and time.monotonic() < until_s:
            time.sleep(0.002)
        return self.said.pop(0) if self.said else None

    def restricted_token(self):
        self._note("restricted_token")
        return self._handle()

    def token_facts(self, token):
        return self.token

    def process_token(self, process):
        return self._handle()

    def label_low(self, path):
        self._note("label_low", path)

    def grant_user(self, path):
        self._note("grant_user", path)

    def os_handle(self, descriptor):
        return descriptor + 100

    def start(self, what):
        self._note("start", what)
        process = Process(self._handle(), self._handle(), 4711)
        self.codes[process.handle] = None
        self.suspended[process.thread] = process.handle, what
        self.used = Accounting(active=1)
        return process

    def resume(self, thread):
        self._note("resume", thread)
        process, what = self.suspended.pop(thread)
        if what.command_line.endswith(" copy /y input output") and self.copies:
            shutil.copyfile(os.path.join(what.cwd, "input"), os.path.join(what.cwd, "output"))
            self.codes[process] = 0

    def exit_code(self, process):
        return self.codes[process]

    def has_ended(self, process, timeout_s):
        return self.codes.get(process) is not None or timeout_s > 0

    def terminate(self, process, exit_code):
        self._note("terminate", process, exit_code)
        self.codes[process] = exit_code

    def close(self, handle):
        self.open.remove(handle)

    def end(self, exit_code, used=None):
        """The command has ended, and all that it started."""
        self.codes = dict.fromkeys(self.codes, exit_code)
        self.used = used or Accounting()


@pytest.fixture
def recorded():
    """Makes a `RecordedWindows`."""
    return RecordedWindows


@dataclass
class Box:
    """A launcher, and a way to run programs in Python by it."""

    launcher: object
    root: str
    count: int = 0
    exits: dict = field(default_factory=dict)
    logs: dict = field(default_factory=dict)

    def tree(self, **files):
        """A staged tree with these files."""
        self.count += 1
        place = os.path.join(self.root, f"tree-{self.count}")
        parts = [os.path.join(place, part) for part in ("lower", "upper", "work")]
        for part in parts:
            os.makedirs(part)
        for name, text in files.items():
            with open(os.path.join(parts[0], name), "w", newline="\n") as file:
                file.write(text)
        return StagedTree("/build", *parts)

    def start(self, program="", *words, argv=(), env=(), limits=None, tree=None, **more):
        """Start this text as a program in Python, or the command `argv`; the id of the launch."""
        self.count += 1
        out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115  # closed by `wait`
        self.logs[self.count] = (out, err)
        spec = SandboxSpec(
            temps=(Temp("/tmp"),),
            env=(("GREETING", "a b"), ("TMPDIR", "/tmp"), *env),
            resources=limits or ResourceLimits(),
        )
        with open(os.devnull, "rb") as null:
            self.launcher.start(
                Launch(
                    launch_id=self.count,
                    spec=spec,
                    argv=tuple(argv) or (sys.executable, "-c", program, *words),
                    cwd="/build" if tree else self.root,
                    stdin=null.fileno(),
                    stdout=out.fileno(),
                    stderr=err.fileno(),
                    tree=tree,
                    **more,
                )
            )
        return self.count

    def wait(self, launch_id) -> tuple[Exit, str, str]:
        """How it ended and what it printed; waits as the engine does."""
        until_s = time.monotonic() + PATIENCE_S
        while launch_id not in self.exits:
            assert time.monotonic() < until_s, "nothing was told of its end"
            select.select([self.launcher.fileno()], [], [], 1)
            for end in self.launcher.reap():
                assert end.launch_id not in self.exits, "two exits for one launch"
                self.exits[end.launch_id] = end
        texts = []
        for file in self.logs.pop(launch_id):
            with file:
                file.seek(0)
                texts.append(file.read().decode(errors="replace").replace("\r", ""))
        return self.exits[launch_id], *texts

    def run(self, program="", *words, **more):
        """Start it and wait for its end."""
        return self.wait(self.start(program, *words, **more))


@pytest.fixture
def box(tmp_path):
    """A launcher of this Windows."""
    from bldr_windows.sandbox import WindowsSandbox

    root = tmp_path / "root"
    root.mkdir()
    made = Box(WindowsSandbox().open(str(root)), str(root))
    yield made
    made.launcher.close()
    assert [name for name in os.listdir(root) if name.startswith("tmp-")] == [], "a temporary directory is left"
