"""Files as Windows has them, with the calls and the errors of POSIX: what `by_path` is made of there.

Every file is opened so that others may rename and remove it meanwhile. "Removed" means that its name is free at once.
"""

import ctypes
import errno
import os
import stat
import time
from importlib import import_module
from typing import Any

O_DIRECTORY = 1 << 24
O_NOFOLLOW = 1 << 25
O_NONBLOCK = 1 << 26
O_PRIVATE = O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK
"""Flags that the C library does not know, in bits that it does not use."""

EPOCH_100NS = 116444736000000000
"""1970 in the clock of files, which counts from 1601 in tenths of microseconds."""

_GENERIC_READ, _GENERIC_WRITE, _APPEND, _SYNCHRONIZE = 0x80000000, 0x40000000, 0x4, 0x100000
_READ_ATTRIBUTES, _WRITE_ATTRIBUTES = 0x80, 0x100
_SHARE_NOTHING, _SHARE_ALL = 0, 7
_DELETE = 0x10000
_CREATE_NEW, _CREATE_ALWAYS, _OPEN_EXISTING, _OPEN_ALWAYS, _TRUNCATE_EXISTING = 1, 2, 3, 4, 5
_BACKUP_SEMANTICS, _OPEN_REPARSE_POINT = 0x02000000, 0x00200000
_READONLY, _DIRECTORY, _NORMAL, _REPARSE_POINT = 0x1, 0x10, 0x80, 0x400
_REPLACE_EXISTING = 1
_DISK = 1
_BASIC_INFO = 0
_ACCESS_DENIED, _SHARING_VIOLATION, _MORE_DATA = 5, 32, 234
_LONGEST = 1 << 16
_DELETE_PENDING, _STATUS_DELETE_PENDING = 303, 0xC0000056
_AS_IT_IS: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_INVALID = ctypes.c_void_p(-1).value
_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""What another process holds open for a moment (a virus scanner, an indexer) is tried again."""


class BasicInfo(ctypes.Structure):
    """FILE_BASIC_INFO; times that are 0 are left as they are where this is set."""

    _fields_ = [
        ("created", ctypes.c_int64),
        ("accessed", ctypes.c_int64),
        ("written", ctypes.c_int64),
        ("changed", ctypes.c_int64),
        ("attributes", ctypes.c_uint32),
    ]


class Win32:
    """The calls by path, over kernel32. See `by_path.Native`."""

    def __init__(self) -> None:
        windll: Any = import_module("ctypes").WinDLL
        self._kernel: Any = windll("kernel32", use_last_error=True)
        self._nt: Any = windll("ntdll")
        self._msvcrt: Any = import_module("msvcrt")
        handle, text, number, at = ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_void_p
        for name, result, arguments in (
            ("CreateFileW", handle, (text, number, number, at, number, number, handle)),
            ("CloseHandle", ctypes.c_int, (handle,)),
            ("GetFinalPathNameByHandleW", number, (handle, text, number, number)),
            ("GetFileInformationByHandleEx", ctypes.c_int, (handle, ctypes.c_int, at, number)),
            ("SetFileInformationByHandle", ctypes.c_int, (handle, ctypes.c_int, at, number)),
            ("GetFileType", number, (handle,)),
            ("GetFileAttributesW", number, (text,)),
            ("SetFileAttributesW", ctypes.c_int, (text, number)),
            ("MoveFileExW", ctypes.c_int, (text, text, number)),
        ):
            call = getattr(self._kernel, name)
            call.restype, call.argtypes = result, arguments
        self._nt.RtlGetLastNtStatus.restype = number

    # Descriptors

    def path_of(self, descriptor: int) -> str:
        """Where the file of a descriptor is now. Raises OSError."""
        size = 512
        while True:
            buffer = ctypes.create_unicode_buffer(size)
            length = self._kernel.GetFinalPathNameByHandleW(self._msvcrt.get_osfhandle(descriptor), buffer, size, 0)
            if 0 < length < size:
                return buffer.value
            if not length and (ctypes.get_last_error() != _MORE_DATA or size > _LONGEST):  # type: ignore[attr-defined, unused-ignore]
                raise self._error("")
            size = max(2 * size, length + 1)

    def open(self, path: str, flags: int, mode: int) -> int:
        """A descriptor. Bytes are as they are, nothing is inherited, nobody else is kept out."""
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        access = _GENERIC_READ if writing != os.O_WRONLY else _READ_ATTRIBUTES
        if writing:
            access |= _APPEND | _SYNCHRONIZE if flags & os.O_APPEND else _GENERIC_WRITE
            access |= _READ_ATTRIBUTES | _WRITE_ATTRIBUTES
        if flags & os.O_CREAT:
            disposition = _CREATE_NEW if flags & os.O_EXCL else _OPEN_ALWAYS
            disposition = _CREATE_ALWAYS if flags & os.O_TRUNC and not flags & os.O_EXCL else disposition
        else:
            disposition = _TRUNCATE_EXISTING if flags & os.O_TRUNC else _OPEN_EXISTING
        attributes = _NORMAL if mode & 0o200 or not flags & os.O_CREAT else _READONLY
        attributes |= _BACKUP_SEMANTICS | (_OPEN_REPARSE_POINT if flags & O_NOFOLLOW else 0)
        handle = self._create(path, access, disposition, attributes)
        try:
            self._check_kind(handle, path, flags, bool(writing))
            kept = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND)
            descriptor: int = self._msvcrt.open_osfhandle(handle, kept | _AS_IT_IS)
        except OSError:
            self._kernel.CloseHandle(handle)
            raise
        return descriptor

    def _create(self, path: str, access: int, disposition: int, attributes: int) -> int:
        for pause_s in (*_PAUSES_S, 0):
            handle: int = self._kernel.CreateFileW(path, access, _SHARE_ALL, None, disposition, attributes, None)
            if handle != _INVALID:
                return handle
            error = self._error(path)
            if not self._is_passing(error) or not pause_s:
                break
            time.sleep(pause_s)
        if isinstance(error, PermissionError) and access & _GENERIC_WRITE and os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise error

    def _check_kind(self, handle: int, path: str, flags: int, writing: bool) -> None:
        if self._kernel.GetFileType(handle) != _DISK:  # a device, a pipe
            if flags & O_DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return
        attributes = self._basic(handle).attributes
        if flags & O_NOFOLLOW and attributes & _REPARSE_POINT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if flags & O_DIRECTORY and not attributes & _DIRECTORY:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if writing and attributes & _DIRECTORY:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)

    # Stats

    def fstat(self, descriptor: int) -> os.stat_result:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return status
        return _with_change(status, self._basic(self._msvcrt.get_osfhandle(descriptor)).changed)

    def stat(self, path: str) -> os.stat_result:
        return self._looked_at(path, os.stat(path), _BACKUP_SEMANTICS)

    def lstat(self, path: str) -> os.stat_result:
        return self._looked_at(path, os.lstat(path), _BACKUP_SEMANTICS | _OPEN_REPARSE_POINT)

    def _looked_at(self, path: str, status: os.stat_result, attributes: int) -> os.stat_result:
        """A stat with the time of the last change in place of that of the creation."""
        handle = self._create(path, _READ_ATTRIBUTES, _OPEN_EXISTING, attributes)
        try:
            return _with_change(status, self._basic(handle).changed)
        finally:
            self._kernel.CloseHandle(handle)

    def _basic(self, handle: int) -> BasicInfo:
        info = BasicInfo()
        if not self._kernel.GetFileInformationByHandleEx(handle, _BASIC_INFO, ctypes.byref(info), ctypes.sizeof(info)):
            raise self._error("")
        return info

    # Changes

    def chmod(self, path: str, mode: int) -> None:
        """Set what there is of a mode: whether the file may be written to. Its time of change is renewed."""
        attributes = self._kernel.GetFileAttributesW(path)
        if attributes == 0xFFFFFFFF:
            raise self._error(path)
        if attributes & _DIRECTORY:
            return  # a directory that is read-only is something else to Windows
        wanted = (attributes & ~(_READONLY | _NORMAL)) | (0 if mode & 0o200 else _READONLY)
        if not self._kernel.SetFileAttributesW(path, wanted or _NORMAL):
            raise self._error(path)

    def utime(self, path: str, ns: tuple[int, int] | None) -> None:
        accessed_ns, written_ns = ns or (time.time_ns(), time.time_ns())
        handle = self._opened_for_attributes(path, _BACKUP_SEMANTICS)
        try:
            info = BasicInfo(0, _ticks(accessed_ns), _ticks(written_ns), 0, 0)
            if not self._kernel.SetFileInformationByHandle(
                handle, _BASIC_INFO, ctypes.byref(info), ctypes.sizeof(info)
            ):
                raise self._error(path)
        finally:
            self._kernel.CloseHandle(handle)

    def unlink(self, path: str) -> None:
        """Remove a file, also one that is read-only or open somewhere, which keeps another name until it is closed."""
        place = self._aside(path) if self._is_open(path) else path
        for pause_s in (*_PAUSES_S, 0):
            try:
                os.unlink(place)
                return
            except PermissionError as error:
                status = os.lstat(place)
                if stat.S_ISDIR(status.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from error
                if not status.st_mode & 0o200:
                    self._unlink_read_only(place)
                    return
                if not pause_s:
                    raise
                time.sleep(pause_s)

    def _unlink_read_only(self, path: str) -> None:
        """All names share the attribute: it is given back through a handle, which outlives the name."""
        handle = self._opened_for_attributes(path, _BACKUP_SEMANTICS | _OPEN_REPARSE_POINT)
        try:
            before = self._basic(handle).attributes
            self._set_attributes(handle, path, (before & ~_READONLY) or _NORMAL)
            try:
                os.unlink(path)
            finally:
                self._set_attributes(handle, path, before)
        finally:
            self._kernel.CloseHandle(handle)

    def _opened_for_attributes(self, path: str, flags: int) -> int:
        """A handle that attributes are set by. Under Wine, whoever is not root gets one of a writable file only: a file
        that is read-only is made writable for that moment."""
        access = _READ_ATTRIBUTES | _WRITE_ATTRIBUTES
        try:
            return self._create(path, access, _OPEN_EXISTING, flags)
        except PermissionError:
            before = self._kernel.GetFileAttributesW(path)
            if before == 0xFFFFFFFF or not before & _READONLY:
                raise
            self._kernel.SetFileAttributesW(path, (before & ~_READONLY) or _NORMAL)
            try:
                handle = self._create(path, access, _OPEN_EXISTING, flags)
            except OSError:
                self._kernel.SetFileAttributesW(path, before)
                raise
            self._set_attributes(handle, path, before)
            return handle

    def _is_open(self, path: str) -> bool:
        """Whether somebody has a file open, so that its name would not be free before that ends."""
        flags = _BACKUP_SEMANTICS | _OPEN_REPARSE_POINT
        handle = self._kernel.CreateFileW(path, _DELETE, _SHARE_NOTHING, None, _OPEN_EXISTING, flags, None)
        if handle == _INVALID:
            return bool(ctypes.get_last_error() == _SHARING_VIOLATION)  # type: ignore[attr-defined, unused-ignore]
        self._kernel.CloseHandle(handle)
        return False

    def _aside(self, path: str) -> str:
        """Give a file another name, in the same directory, and return it."""
        place = f"{path}.gone-{os.urandom(8).hex()}"
        if not self._kernel.MoveFileExW(path, place, 0):
            raise self._error(path)
        return place

    def _set_attributes(self, handle: int, path: str, attributes: int) -> None:
        info = BasicInfo(0, 0, 0, 0, attributes)
        if not self._kernel.SetFileInformationByHandle(handle, _BASIC_INFO, ctypes.byref(info), ctypes.sizeof(info)):
            raise self._error(path)

    def rmdir(self, path: str) -> None:
        for pause_s in (*_PAUSES_S, 0):
            try:
                os.rmdir(path)
                return
            except PermissionError:
                if not pause_s:
                    raise
                time.sleep(pause_s)
            except OSError as error:
                # just removed from it, and still open somewhere
                if error.errno != errno.ENOTEMPTY or not pause_s or os.listdir(path):
                    raise
                time.sleep(pause_s)

    def rename(self, source: str, destination: str) -> None:
        """rename(2): a file takes the place of another, a directory that of an empty one."""
        for pause_s in (*_PAUSES_S, 0):
            if self._kernel.MoveFileExW(source, destination, _REPLACE_EXISTING):
                return
            error = self._error(source, destination)
            if isinstance(error, FileNotFoundError):
                raise error
            self._make_way(source, destination)
            if self._kernel.MoveFileExW(source, destination, _REPLACE_EXISTING):
                return
            if pause_s:
                time.sleep(pause_s)
        raise error

    def _make_way(self, source: str, destination: str) -> None:
        """What Windows refuses to replace goes, where POSIX would replace it; raises as POSIX where it would not."""
        try:
            there, moved = os.lstat(destination), os.lstat(source)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(there.st_mode):
            if not stat.S_ISDIR(moved.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), destination)
            os.rmdir(destination)
        elif stat.S_ISDIR(moved.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), destination)
        else:
            self.unlink(destination)

    # Errors

    def _error(self, path: str, other: str | None = None) -> OSError:
        """What the last call failed of; a file that is only kept by somebody who has it open is not there."""
        code = ctypes.get_last_error()  # type: ignore[attr-defined, unused-ignore]
        if code == _DELETE_PENDING or (code == _ACCESS_DENIED and self._status() == _STATUS_DELETE_PENDING):
            return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return OSError(0, ctypes.FormatError(code), path, code, other)  # type: ignore[attr-defined, unused-ignore]

    def _status(self) -> int:
        status: int = self._nt.RtlGetLastNtStatus()
        return status

    def _is_passing(self, error: OSError) -> bool:
        return getattr(error, "winerror", 0) == _SHARING_VIOLATION


def _ticks(time_ns: int) -> int:
    return time_ns // 100 + EPOCH_100NS


def _with_change(status: os.stat_result, changed: int) -> os.stat_result:
    """`status` with the time of change, which the C library has none of."""
    changed_ns = (changed - EPOCH_100NS) * 100
    more = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    more |= {"st_ctime_ns": changed_ns, "st_ctime": changed_ns / 10**9}
    seen: list[Any] = list(status)
    if stat.S_ISREG(status.st_mode):
        seen[0] &= ~0o111  # guessed from the name, so that a descriptor and a path would show different ones
    return os.stat_result(seen, {name: value for name, value in more.items() if name not in _PLAIN})


_PLAIN = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")
