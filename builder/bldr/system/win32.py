"""Files as Windows has them, with the calls and the errors of POSIX: what `by_path` is made of there.

Every file is opened so that others may rename and remove it meanwhile. "Removed" means that its name is free at once.
"""

import contextlib
import ctypes
import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from bldr.system.reparse import Listing, as_posix, is_link, posix_target, stands_for_a_name

O_DIRECTORY = 1 << 24
O_NOFOLLOW = 1 << 25
O_NONBLOCK = 1 << 26
O_PRIVATE = O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK
"""Flags that the C library does not know, in bits that it does not use."""

EPOCH_100NS = 116444736000000000
"""1970 in the clock of files, which counts from 1601 in tenths of microseconds."""

_GENERIC_READ, _GENERIC_WRITE, _APPEND, _SYNCHRONIZE = 0x80000000, 0x40000000, 0x4, 0x100000
_READ_ATTRIBUTES, _WRITE_ATTRIBUTES = 0x80, 0x100
_SHARE_ALL = 7
_DELETE = 0x10000
_CREATE_NEW, _CREATE_ALWAYS, _OPEN_EXISTING, _OPEN_ALWAYS, _TRUNCATE_EXISTING = 1, 2, 3, 4, 5
_BACKUP_SEMANTICS, _OPEN_REPARSE_POINT = 0x02000000, 0x00200000
_READONLY, _DIRECTORY, _NORMAL, _REPARSE_POINT = 0x1, 0x10, 0x80, 0x400
_REPLACE_EXISTING = 1
_DISK = 1
_BASIC_INFO, _TAG_INFO, _DISPOSITION_INFO_EX, _RENAME_INFO_EX = 0, 9, 21, 22
_DELETE_AT_ONCE = 0x1 | 0x2 | 0x10
"""FILE_DISPOSITION_DELETE, _POSIX_SEMANTICS and _IGNORE_READONLY_ATTRIBUTE."""
_RENAME_AT_ONCE = 0x1 | 0x2 | 0x40
"""FILE_RENAME_REPLACE_IF_EXISTS, _POSIX_SEMANTICS and _IGNORE_READONLY_ATTRIBUTE."""
_UNKNOWN = (1, 50, 87, 120)
"""What a file system or a Windows says that does not know the two (FAT, before 1809, Wine 8)."""
_IN_THE_WAY = (5, 145, 183)
"""What Windows says of a name that it does not replace: access denied, not empty, there already."""
_ACCESS_DENIED, _SHARING_VIOLATION, _MORE_DATA = 5, 32, 234
_LONGEST = 1 << 16
_DELETE_PENDING, _STATUS_DELETE_PENDING = 303, 0xC0000056
_AS_IT_IS: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_LINK = _BACKUP_SEMANTICS | _OPEN_REPARSE_POINT
"""Opens a directory too, and a link rather than what it leads to."""
_NO_ATTRIBUTES = 0xFFFFFFFF
_INVALID = ctypes.c_void_p(-1).value
_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""What another process holds open for a moment (a virus scanner, an indexer) is tried again."""

T = TypeVar("T")


class TagInfo(ctypes.Structure):
    """FILE_ATTRIBUTE_TAG_INFO."""

    _fields_ = [("attributes", ctypes.c_uint32), ("tag", ctypes.c_uint32)]


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
        return self._final_path(self._msvcrt.get_osfhandle(descriptor))

    def _final_path(self, handle: int) -> str:
        size = 512
        while True:
            buffer = ctypes.create_unicode_buffer(size)
            length = self._kernel.GetFinalPathNameByHandleW(handle, buffer, size, 0)
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
        # who makes a file that must not be there does not make it where a dangling link leads
        made = disposition == _CREATE_NEW
        attributes |= _BACKUP_SEMANTICS | (_OPEN_REPARSE_POINT if flags & O_NOFOLLOW or made else 0)
        handle = self._create(path, access, disposition, attributes)
        try:
            if self._check_kind(handle, path, flags, bool(writing)) and flags & O_NOFOLLOW:
                handle = self._followed(handle, path, access, attributes & ~_OPEN_REPARSE_POINT)
            kept = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND)
            descriptor: int = self._msvcrt.open_osfhandle(handle, kept | _AS_IT_IS)
        except OSError:
            self._kernel.CloseHandle(handle)
            raise
        return descriptor

    def _create(self, path: str, access: int, disposition: int, attributes: int) -> int:
        try:
            return self._retried(
                lambda: self._create_once(path, access, disposition, attributes), (_SHARING_VIOLATION,)
            )
        except PermissionError:
            if access & _GENERIC_WRITE and os.path.isdir(path):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from None
            raise

    def _create_once(self, path: str, access: int, disposition: int, attributes: int) -> int:
        handle: int = self._kernel.CreateFileW(path, access, _SHARE_ALL, None, disposition, attributes, None)
        if handle == _INVALID:
            raise self._error(path)
        return handle

    def _retried(self, do: Callable[[], T], passing: tuple[int, ...] = (_SHARING_VIOLATION, _ACCESS_DENIED)) -> T:
        """What fails of somebody who has it open for a moment is done again, for about a second."""
        for pause_s in _PAUSES_S:
            try:
                return do()
            except PermissionError as error:
                if getattr(error, "winerror", 0) not in passing:
                    raise
            time.sleep(pause_s)
        return do()

    def _check_kind(self, handle: int, path: str, flags: int, writing: bool) -> bool:
        """Raise what POSIX would. Whether it is a reparse point that leads nowhere else."""
        if self._kernel.GetFileType(handle) != _DISK:  # a device, a pipe
            if flags & O_DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return False
        attributes = self._basic(handle).attributes
        if flags & O_NOFOLLOW and self._leads_elsewhere(handle, attributes):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if flags & O_DIRECTORY and not attributes & _DIRECTORY:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if writing and attributes & _DIRECTORY:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return bool(attributes & _REPARSE_POINT)

    def _leads_elsewhere(self, handle: int, attributes: int) -> bool:
        if not attributes & _REPARSE_POINT:
            return False
        info = TagInfo()
        size = ctypes.sizeof(info)
        known = self._kernel.GetFileInformationByHandleEx(handle, _TAG_INFO, ctypes.byref(info), size)
        return not known or stands_for_a_name(info.tag)

    def _followed(self, handle: int, path: str, access: int, attributes: int) -> int:
        """In place of a reparse point that is no link, the file itself, which a file system of its own gives."""
        again = self._create(path, access, _OPEN_EXISTING, attributes)
        same = self._final_path(again) == self._final_path(handle)
        self._kernel.CloseHandle(handle if same else again)
        if not same:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return again

    # Stats

    def fstat(self, descriptor: int) -> os.stat_result:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return status
        return as_posix(status, _changed_ns(self._basic(self._msvcrt.get_osfhandle(descriptor))))

    def stat(self, path: str) -> os.stat_result:
        return self._looked_at(path, os.stat(path), _BACKUP_SEMANTICS)

    def lstat(self, path: str) -> os.stat_result:
        return self._looked_at(path, os.lstat(path), _LINK)

    def _looked_at(self, path: str, status: os.stat_result, attributes: int) -> os.stat_result:
        """A stat with the time of the last change in place of that of the creation."""
        handle = self._create(path, _READ_ATTRIBUTES, _OPEN_EXISTING, attributes)
        try:
            return as_posix(status, _changed_ns(self._basic(handle)))
        finally:
            self._kernel.CloseHandle(handle)

    def _basic(self, handle: int) -> BasicInfo:
        info = BasicInfo()
        if not self._kernel.GetFileInformationByHandleEx(handle, _BASIC_INFO, ctypes.byref(info), ctypes.sizeof(info)):
            raise self._error("")
        return info

    def readlink(self, path: str) -> str:
        try:
            return posix_target(os.readlink(path))
        except ValueError as error:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path) from error

    def scandir(self, path: str) -> Listing:
        return Listing(os.scandir(path))

    def _is_directory(self, path: str) -> bool | None:
        """None where there is nothing; a link is no directory."""
        attributes: int = self._kernel.GetFileAttributesW(path)
        if attributes == _NO_ATTRIBUTES:
            return None
        return bool(attributes & _DIRECTORY) and not (attributes & _REPARSE_POINT and is_link(os.lstat(path)))

    # Changes

    def chmod(self, path: str, mode: int) -> None:
        """Set what there is of a mode: whether the file may be written to. Its time of change is renewed."""
        attributes = self._kernel.GetFileAttributesW(path)
        if attributes == _NO_ATTRIBUTES:
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
        """Remove a file or a link, also one that is read-only or open somewhere."""
        self._retried(lambda: self._delete(path))

    def _delete(self, path: str) -> None:
        handle = self._create_once(path, _DELETE | _READ_ATTRIBUTES, _OPEN_EXISTING, _LINK)
        try:
            attributes = self._basic(handle).attributes
            if attributes & _DIRECTORY and not self._leads_elsewhere(handle, attributes):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            how = ctypes.c_uint32(_DELETE_AT_ONCE)
            if self._kernel.SetFileInformationByHandle(handle, _DISPOSITION_INFO_EX, ctypes.byref(how), 4):
                return
            error = self._error(path)
        finally:
            self._kernel.CloseHandle(handle)
        if getattr(error, "winerror", 0) not in _UNKNOWN:
            raise error
        self._delete_aside(path)

    def _delete_aside(self, path: str) -> None:
        """The way of old: what is open keeps a name until it is closed, so it gets another one first."""
        place = self._aside(path)
        try:
            try:
                os.unlink(place)
            except PermissionError:
                if os.lstat(place).st_mode & 0o200:
                    raise
                self._unlink_read_only(place)
        except OSError:
            self._kernel.MoveFileExW(place, path, 0)
            raise

    def _unlink_read_only(self, path: str) -> None:
        """All names share the attribute: it is given back through a handle, which outlives the name."""
        handle = self._opened_for_attributes(path, _LINK)
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
            if before == _NO_ATTRIBUTES or not before & _READONLY:
                raise
            self._kernel.SetFileAttributesW(path, (before & ~_READONLY) or _NORMAL)
            try:
                handle = self._create(path, access, _OPEN_EXISTING, flags)
            except OSError:
                self._kernel.SetFileAttributesW(path, before)
                raise
            self._set_attributes(handle, path, before)
            return handle

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
        before: int = self._kernel.GetFileAttributesW(path)
        if before != _NO_ATTRIBUTES and before & _DIRECTORY and before & _READONLY:
            self._kernel.SetFileAttributesW(path, (before & ~_READONLY) or _NORMAL)
            try:
                self._rmdir(path)
            except OSError:
                self._kernel.SetFileAttributesW(path, before)
                raise
        else:
            self._rmdir(path)

    def _rmdir(self, path: str) -> None:
        if self._is_directory(path) is False:  # os.rmdir removes links too
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
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
        """rename(2): a file takes the place of another, a directory that of an empty one. Where it fails, both are
        there as before."""
        moved, there = self._is_directory(source), self._is_directory(destination)
        if there and moved is False:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), destination)
        if moved and there is False:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), destination)
        self._retried(lambda: self._replace(source, destination))

    def _replace(self, source: str, destination: str) -> None:
        handle = self._create_once(source, _DELETE | _READ_ATTRIBUTES | _SYNCHRONIZE, _OPEN_EXISTING, _LINK)
        try:
            info = _rename_info(os.path.abspath(destination))
            if self._kernel.SetFileInformationByHandle(handle, _RENAME_INFO_EX, info, len(info)):
                return
            error = self._error(source, destination)
        finally:
            self._kernel.CloseHandle(handle)
        code = getattr(error, "winerror", 0)
        if code in _UNKNOWN:
            if self._kernel.MoveFileExW(source, destination, _REPLACE_EXISTING):
                return
            error = self._error(source, destination)
            code = getattr(error, "winerror", 0)
        if code not in _IN_THE_WAY or self._is_directory(destination) is None:
            raise error
        self._replace_aside(source, destination)

    def _replace_aside(self, source: str, destination: str) -> None:
        """What Windows does not replace (an open file in the way of old, a program that runs) is moved aside first, and
        back where that was in vain."""
        is_directory = self._is_directory(destination)
        if is_directory and os.listdir(destination):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), destination)
        place = self._aside(destination)
        if not self._kernel.MoveFileExW(source, destination, 0):
            error = self._error(source, destination)
            self._kernel.MoveFileExW(place, destination, 0)
            raise error
        with contextlib.suppress(PermissionError):  # a program that runs keeps its file
            self._rmdir(place) if is_directory else self._delete(place)

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


def _ticks(time_ns: int) -> int:
    return time_ns // 100 + EPOCH_100NS


def _changed_ns(info: BasicInfo) -> int:
    changed: int = info.changed
    return (changed - EPOCH_100NS) * 100


def _rename_info(path: str) -> bytes:
    """FILE_RENAME_INFO for a path that is absolute."""
    name = path.encode("utf-16-le", "surrogatepass")
    return struct.pack("<I4xQI", _RENAME_AT_ONCE, 0, len(name)) + name + bytes(2)
