"""The seam to Windows: all that this platform asks the system for, so that tests can stand in for it. Handles are ints.

Names and shapes are those of the Windows API (winnt.h); every call raises OSError with the system's own number.
"""

from typing import Protocol

import msgspec

LIMIT_JOB_TIME = 0x4
LIMIT_ACTIVE_PROCESS = 0x8
LIMIT_PROCESS_MEMORY = 0x100
LIMIT_JOB_MEMORY = 0x200
LIMIT_DIE_ON_UNHANDLED_EXCEPTION = 0x400
LIMIT_BREAKAWAY_OK = 0x800
LIMIT_SILENT_BREAKAWAY_OK = 0x1000
LIMIT_KILL_ON_JOB_CLOSE = 0x2000

RATE_ENABLE = 0x1
RATE_WEIGHT_BASED = 0x2
RATE_HARD_CAP = 0x4

PAGE_BYTES = 4096
"""The kernel keeps limits of memory in whole pages."""

MSG_ACTIVE_PROCESS_LIMIT = 3
MSG_NEW_PROCESS = 6
MSG_PROCESS_MEMORY_LIMIT = 9
MSG_JOB_MEMORY_LIMIT = 10

LOW_INTEGRITY = 0x1000
"""The last part of the SID S-1-16-4096; programs of people have 0x2000, those of administrators 0x3000."""

STILL_ACTIVE = 259


class Extended(msgspec.Struct, frozen=True, kw_only=True):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, as far as it is used; times in units of 100 ns."""

    flags: int = 0
    active_processes: int = 0
    job_user_time: int = 0
    process_memory_bytes: int = 0
    job_memory_bytes: int = 0
    peak_job_memory_bytes: int = 0  # only read


class Rate(msgspec.Struct, frozen=True):
    """JOBOBJECT_CPU_RATE_CONTROL_INFORMATION: the cap in hundredths of a percent of all processors, or a weight."""

    flags: int = 0
    value: int = 0


class Accounting(msgspec.Struct, frozen=True, kw_only=True):
    """JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION; None for what the system does not count."""

    cpu_s: float = 0.0
    active: int = 0
    started: int = 0
    read_bytes: int | None = None
    written_bytes: int | None = None


class TokenFacts(msgspec.Struct, frozen=True):
    """What a token says of itself: its integrity level, and the names of the privileges that are enabled."""

    integrity: int
    privileges: tuple[str, ...]
    is_elevated: bool


class Message(msgspec.Struct, frozen=True):
    """What a job told its completion port: which kind, the key of the job, and the process that it is about."""

    kind: int
    key: int
    pid: int = 0


class Process(msgspec.Struct, frozen=True):
    """A process that is suspended until its first thread is resumed."""

    handle: int
    thread: int
    pid: int


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One process to create. `environment` is the block that Windows expects, `stdio` are handles of this process."""

    program: str
    command_line: str
    cwd: str
    environment: str
    stdio: tuple[int, int, int]
    token: int
    job: int


class Win32(Protocol):
    """What the platform needs of Windows."""

    def windows_directory(self) -> str:
        """Where Windows is: `C:\\Windows`."""

    def create_job(self) -> int:
        """A job without a name, which nobody inherits."""

    def set_extended(self, job: int, limits: Extended) -> None: ...

    def extended(self, job: int) -> Extended:
        """What the job has, as the system says it."""

    def set_rate(self, job: int, rate: Rate) -> None: ...

    def rate(self, job: int) -> Rate: ...

    def accounting(self, job: int) -> Accounting: ...

    def programs(self, job: int) -> tuple[str, ...]:
        """The executables of the processes that are alive, "" where one cannot be asked any more."""

    def terminate_job(self, job: int, exit_code: int) -> None: ...

    def is_in_job(self, process: int, job: int) -> bool: ...

    def assign(self, process: int, job: int) -> None: ...

    def create_port(self) -> int: ...

    def associate(self, job: int, port: int, key: int) -> None:
        """Let the job tell the port of its processes, with this key."""

    def post(self, port: int, message: Message) -> None: ...

    def next_message(self, port: int, timeout_s: float | None) -> Message | None:
        """Wait for a message; None when the time is over."""

    def restricted_token(self) -> int:
        """This process's own token without privileges and administrators' rights, of low integrity."""

    def token_facts(self, token: int) -> TokenFacts: ...

    def process_token(self, process: int) -> int: ...

    def label_low(self, path: str) -> None:
        """Let programs of low integrity write to this directory and to what is made in it; not all disks know it."""

    def grant_user(self, path: str) -> None:
        """Let this process's user, the system and administrators alone into this directory and what is made in it."""

    def os_handle(self, descriptor: int) -> int:
        """The handle behind a descriptor of the C library."""

    def start(self, what: Start) -> Process:
        """Create a suspended process in its job, which inherits the three handles and no other."""

    def resume(self, thread: int) -> None: ...

    def exit_code(self, process: int) -> int:
        """STILL_ACTIVE while it runs."""

    def has_ended(self, process: int, timeout_s: float) -> bool:
        """Wait for its end so long."""

    def terminate(self, process: int, exit_code: int) -> None: ...

    def close(self, handle: int) -> None: ...
