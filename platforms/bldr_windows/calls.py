"""Windows itself: the seam's calls by pywin32, and by ctypes where pywin32 has none. Can be imported everywhere."""

import ctypes
import sys
from typing import Any

from bldr_windows.win32 import Accounting, Extended, Message, Process, Rate, Start, TokenFacts

_DISABLE_MAX_PRIVILEGE = 0x1
_LUA_TOKEN = 0x4
_SE_GROUP_INTEGRITY = 0x20
_LOW_SID = "S-1-16-4096"
_LOW_LABEL = "S:(ML;OICI;NW;;;LW)"  # no write up, for what is made below too
_LABEL_SECURITY_INFORMATION = 0x10
_SE_FILE_OBJECT = 1
_OWN_DACL = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{})"
_DACL_SECURITY_INFORMATION = 0x4
_KNOWS_NO_SECURITY = (1, 50, 120)  # ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_CALL_NOT_IMPLEMENTED
_PRIVILEGE_ENABLED = 0x2

_CREATE_SUSPENDED = 0x4
_CREATE_UNICODE_ENVIRONMENT = 0x400
_EXTENDED_STARTUPINFO_PRESENT = 0x80000
_CREATE_NO_WINDOW = 0x8000000
_STARTF_USESTDHANDLES = 0x100
_ATTRIBUTE_HANDLE_LIST = 0x20002
_ATTRIBUTE_JOB_LIST = 0x2000D

_ASSOCIATE_COMPLETION_PORT = 7
_CPU_RATE_CONTROL = 15
_QUERY_LIMITED_INFORMATION = 0x1000
_LONGEST_PATH = 32_768
_WAIT_TIMEOUT = 258
_INFINITE = 0xFFFFFFFF

_DWORD, _HANDLE, _TEXT = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_wchar_p


class _StartupInfo(ctypes.Structure):
    """STARTUPINFOEXW."""

    _fields_ = [
        ("size", _DWORD),
        ("reserved", _TEXT),
        ("desktop", _TEXT),
        ("title", _TEXT),
        ("geometry", _DWORD * 7),
        ("flags", _DWORD),
        ("show_window", ctypes.c_uint16),
        ("reserved_bytes", ctypes.c_uint16),
        ("reserved_pointer", _HANDLE),
        ("stdin", _HANDLE),
        ("stdout", _HANDLE),
        ("stderr", _HANDLE),
        ("attributes", _HANDLE),
    ]


class _ProcessInformation(ctypes.Structure):
    _fields_ = [("process", _HANDLE), ("thread", _HANDLE), ("pid", _DWORD), ("tid", _DWORD)]


class _CompletionPort(ctypes.Structure):
    """JOBOBJECT_ASSOCIATE_COMPLETION_PORT."""

    _fields_ = [("key", ctypes.c_size_t), ("port", _HANDLE)]


class _RateControl(ctypes.Structure):
    _fields_ = [("flags", _DWORD), ("value", _DWORD)]


class Calls:
    """`Win32`, by the system."""

    def __init__(self) -> None:
        self._kernel = _library("kernel32")
        self._kernel.OpenProcess.restype = _HANDLE
        self._kernel.CreateIoCompletionPort.restype = _HANDLE

    def windows_directory(self) -> str:
        import win32api

        return str(win32api.GetWindowsDirectory())

    # Jobs

    def create_job(self) -> int:
        import win32job

        with _system_errors():
            create: Any = win32job.CreateJobObject  # of which the stubs know no result
            return _own(create(None, ""))

    def set_extended(self, job: int, limits: Extended) -> None:
        import win32job

        kind = win32job.JobObjectExtendedLimitInformation
        with _system_errors():
            information: dict[str, Any] = dict(win32job.QueryInformationJobObject(job, kind))
            information["BasicLimitInformation"] |= {
                "LimitFlags": limits.flags,
                "ActiveProcessLimit": limits.active_processes,
                "PerJobUserTimeLimit": limits.job_user_time,
            }
            information["ProcessMemoryLimit"] = limits.process_memory_bytes
            information["JobMemoryLimit"] = limits.job_memory_bytes
            win32job.SetInformationJobObject(job, kind, information)

    def extended(self, job: int) -> Extended:
        import win32job

        with _system_errors():
            found: dict[str, Any] = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
        basic = found["BasicLimitInformation"]
        return Extended(
            flags=basic["LimitFlags"],
            active_processes=basic["ActiveProcessLimit"],
            job_user_time=basic["PerJobUserTimeLimit"],
            process_memory_bytes=found["ProcessMemoryLimit"],
            job_memory_bytes=found["JobMemoryLimit"],
            peak_job_memory_bytes=found["PeakJobMemoryUsed"],
        )

    def set_rate(self, job: int, rate: Rate) -> None:
        self._set(job, _CPU_RATE_CONTROL, _RateControl(rate.flags, rate.value))

    def rate(self, job: int) -> Rate:
        found = _RateControl()
        size = ctypes.sizeof(found)
        self._check(
            self._kernel.QueryInformationJobObject(_HANDLE(job), _CPU_RATE_CONTROL, ctypes.byref(found), size, None)
        )
        return Rate(found.flags, found.value)

    def accounting(self, job: int) -> Accounting:
        import win32job

        with _system_errors():
            basic: dict[str, Any] = win32job.QueryInformationJobObject(
                job, win32job.JobObjectBasicAccountingInformation
            )
        io: dict[str, Any] = {}
        try:
            with _system_errors():
                both = win32job.QueryInformationJobObject(job, win32job.JobObjectBasicAndIoAccountingInformation)
                io = both["IoInfo"]
        except OSError:  # a system that counts no bytes
            pass
        return Accounting(
            cpu_s=(basic["TotalUserTime"] + basic["TotalKernelTime"]) / 1e7,
            active=basic["ActiveProcesses"],
            started=basic["TotalProcesses"],
            read_bytes=io.get("ReadTransferCount"),
            written_bytes=io.get("WriteTransferCount"),
        )

    def programs(self, job: int) -> tuple[str, ...]:
        import win32job

        with _system_errors():
            pids = win32job.QueryInformationJobObject(job, win32job.JobObjectBasicProcessIdList)
        return tuple(map(self._program, pids))

    def terminate_job(self, job: int, exit_code: int) -> None:
        import win32job

        with _system_errors():
            win32job.TerminateJobObject(job, exit_code)

    def is_in_job(self, process: int, job: int) -> bool:
        import win32job

        with _system_errors():
            return bool(win32job.IsProcessInJob(process, job))

    def assign(self, process: int, job: int) -> None:
        import win32job

        with _system_errors():
            win32job.AssignProcessToJobObject(job, process)

    # What jobs tell

    def create_port(self) -> int:
        port = self._kernel.CreateIoCompletionPort(_HANDLE(-1), None, ctypes.c_size_t(0), 1)
        self._check(port)
        return int(port)

    def associate(self, job: int, port: int, key: int) -> None:
        self._set(job, _ASSOCIATE_COMPLETION_PORT, _CompletionPort(key, port))

    def post(self, port: int, message: Message) -> None:
        words = (_DWORD(message.kind), ctypes.c_size_t(message.key), _HANDLE(message.pid))
        self._check(self._kernel.PostQueuedCompletionStatus(_HANDLE(port), *words))

    def next_message(self, port: int, timeout_s: float | None) -> Message | None:
        kind, key, pid = _DWORD(), ctypes.c_size_t(), _HANDLE()
        wait_ms = _INFINITE if timeout_s is None else int(timeout_s * 1000)
        found = (ctypes.byref(kind), ctypes.byref(key), ctypes.byref(pid))
        if not self._kernel.GetQueuedCompletionStatus(_HANDLE(port), *found, _DWORD(wait_ms)):
            if _last_error() == _WAIT_TIMEOUT:
                return None
            raise _error()
        return Message(kind.value, key.value, pid.value or 0)

    # Tokens

    def restricted_token(self) -> int:
        import win32api
        import win32security

        with _system_errors():
            access = win32security.TOKEN_ALL_ACCESS
            own = win32security.OpenProcessToken(win32api.GetCurrentProcess(), access)
            token = win32security.CreateRestrictedToken(own, _DISABLE_MAX_PRIVILEGE | _LUA_TOKEN, (), (), ())
            low = win32security.ConvertStringSidToSid(_LOW_SID)
            win32security.SetTokenInformation(token, win32security.TokenIntegrityLevel, (low, _SE_GROUP_INTEGRITY))
            return _own(token)

    def token_facts(self, token: int) -> TokenFacts:
        import win32security

        with _system_errors():
            sid, _ = win32security.GetTokenInformation(token, win32security.TokenIntegrityLevel)
            privileges = win32security.GetTokenInformation(token, win32security.TokenPrivileges)
            names = [
                win32security.LookupPrivilegeName("", luid) for luid, flags in privileges if flags & _PRIVILEGE_ENABLED
            ]
            elevated = bool(win32security.GetTokenInformation(token, win32security.TokenElevation))
            return TokenFacts(sid.GetSubAuthority(sid.GetSubAuthorityCount() - 1), tuple(sorted(names)), elevated)

    def process_token(self, process: int) -> int:
        import win32security

        with _system_errors():
            return _own(win32security.OpenProcessToken(process, win32security.TOKEN_QUERY))

    def label_low(self, path: str) -> None:
        import win32security

        descriptor = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(_LOW_LABEL, 1)
        self._secure(path, _LABEL_SECURITY_INFORMATION, None, descriptor.GetSecurityDescriptorSacl())

    def grant_user(self, path: str) -> None:
        import win32api
        import win32security

        with _system_errors():
            own = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32security.TOKEN_QUERY)
            user, _ = win32security.GetTokenInformation(own, win32security.TokenUser)
            words = _OWN_DACL.format(win32security.ConvertSidToStringSid(user))
            descriptor = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(words, 1)
        what = _DACL_SECURITY_INFORMATION | win32security.PROTECTED_DACL_SECURITY_INFORMATION
        self._secure(path, what, descriptor.GetSecurityDescriptorDacl(), None)

    # Processes

    def os_handle(self, descriptor: int) -> int:
        if sys.platform != "win32":
            raise _elsewhere()
        import msvcrt

        return msvcrt.get_osfhandle(descriptor)

    def start(self, what: Start) -> Process:
        inherited: list[int] = []
        try:
            for handle in what.stdio:
                inherited.append(self._inheritable(handle))
            return self._create(what, inherited)
        finally:
            for handle in inherited:
                self.close(handle)

    def resume(self, thread: int) -> None:
        import win32process

        with _system_errors():
            win32process.ResumeThread(thread)

    def exit_code(self, process: int) -> int:
        import win32process

        with _system_errors():
            return int(win32process.GetExitCodeProcess(process)) & 0xFFFFFFFF

    def has_ended(self, process: int, timeout_s: float) -> bool:
        import win32event

        with _system_errors():
            return win32event.WaitForSingleObject(process, int(timeout_s * 1000)) == win32event.WAIT_OBJECT_0

    def terminate(self, process: int, exit_code: int) -> None:
        import win32process

        with _system_errors():
            win32process.TerminateProcess(process, exit_code)

    def close(self, handle: int) -> None:
        self._check(self._kernel.CloseHandle(_HANDLE(handle)))

    def _secure(self, path: str, what: int, access: Any, label: Any) -> None:
        """A disk that knows no security keeps nobody out, and that is no failure."""
        import win32security

        try:
            with _system_errors():
                win32security.SetNamedSecurityInfo(path, _SE_FILE_OBJECT, what, None, None, access, label)
        except OSError as error:
            if getattr(error, "winerror", None) not in _KNOWS_NO_SECURITY:
                raise

    def _program(self, pid: int) -> str:
        process = self._kernel.OpenProcess(_DWORD(_QUERY_LIMITED_INFORMATION), False, _DWORD(pid))
        if not process:
            return ""
        try:
            text, length = ctypes.create_unicode_buffer(_LONGEST_PATH), _DWORD(_LONGEST_PATH)
            found = self._kernel.QueryFullProcessImageNameW(_HANDLE(process), 0, text, ctypes.byref(length))
            return text.value if found else ""
        finally:
            self.close(process)

    def _inheritable(self, handle: int) -> int:
        import win32api
        import win32con

        with _system_errors():
            own = win32api.GetCurrentProcess()
            copy = win32api.DuplicateHandle(own, handle, own, 0, True, win32con.DUPLICATE_SAME_ACCESS)
            return _own(copy)

    def _create(self, what: Start, inherited: list[int]) -> Process:
        """CreateProcessAsUserW with a list of what is inherited; born in its job, where the system knows that."""
        handles = (_HANDLE * len(inherited))(*inherited)
        jobs = (_HANDLE * 1)(what.job)
        attributes = self._attributes(2)
        try:
            self._update(attributes, _ATTRIBUTE_HANDLE_LIST, handles)
            self._update(attributes, _ATTRIBUTE_JOB_LIST, jobs)
            startup = _StartupInfo(size=ctypes.sizeof(_StartupInfo), flags=_STARTF_USESTDHANDLES)
            startup.stdin, startup.stdout, startup.stderr = inherited
            startup.attributes = ctypes.cast(attributes, _HANDLE)
            made = _ProcessInformation()
            flags = _CREATE_SUSPENDED | _CREATE_UNICODE_ENVIRONMENT | _EXTENDED_STARTUPINFO_PRESENT | _CREATE_NO_WINDOW
            self._check(
                _library("advapi32").CreateProcessAsUserW(
                    _HANDLE(what.token),
                    _TEXT(what.program),
                    ctypes.create_unicode_buffer(what.command_line),
                    None,
                    None,
                    True,
                    _DWORD(flags),
                    ctypes.create_unicode_buffer(what.environment),  # which adds the second zero of its end
                    _TEXT(what.cwd),
                    ctypes.byref(startup),
                    ctypes.byref(made),
                ),
                what.program,
            )
        finally:
            self._kernel.DeleteProcThreadAttributeList(attributes)
        return Process(made.process, made.thread, made.pid)

    def _attributes(self, count: int) -> Any:
        size = ctypes.c_size_t()
        self._kernel.InitializeProcThreadAttributeList(None, count, 0, ctypes.byref(size))  # says how much it takes
        attributes = ctypes.create_string_buffer(size.value)
        self._check(self._kernel.InitializeProcThreadAttributeList(attributes, count, 0, ctypes.byref(size)))
        return attributes

    def _update(self, attributes: Any, kind: int, value: Any) -> None:
        size = ctypes.c_size_t(ctypes.sizeof(value))
        self._check(
            self._kernel.UpdateProcThreadAttribute(attributes, 0, ctypes.c_size_t(kind), value, size, None, None)
        )

    def _set(self, job: int, kind: int, value: ctypes.Structure) -> None:
        size = ctypes.sizeof(value)
        self._check(self._kernel.SetInformationJobObject(_HANDLE(job), kind, ctypes.byref(value), size))

    def _check(self, result: Any, file: str = "") -> None:
        if not result:
            raise _error(file)


class _system_errors:  # noqa: N801  # reads as a word of the statement `with`
    """What pywin32 raises becomes an OSError with the same number."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import pywintypes

        if isinstance(error, pywintypes.error):
            raise OSError(None, error.strerror, None, error.winerror) from error


def _own(handle: Any) -> int:
    """A handle of pywin32's that from now on is closed by `close` alone; the stubs often say int."""
    return int(handle.Detach())


def _library(name: str) -> Any:
    if sys.platform != "win32":
        raise _elsewhere()
    return ctypes.WinDLL(name, use_last_error=True)


def _last_error() -> int:
    if sys.platform != "win32":
        raise _elsewhere()
    return ctypes.get_last_error()


def _error(file: str = "") -> OSError:
    if sys.platform != "win32":
        raise _elsewhere()
    error = ctypes.WinError(ctypes.get_last_error())
    return OSError(None, error.strerror, file or None, error.winerror)


def _elsewhere() -> OSError:
    return OSError(f"this is {sys.platform}, and no Windows")
