"""Read files inside ZIP archives in place: nothing is unpacked to disk, and no name in an archive is trusted."""

import functools
import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from hashtagger.i18n import _
from hashtagger.posts.directory import ENCRYPTED, Directory, Member

_LARGEST_MEMBER = 64 << 30
"""Largest size in bytes that a member may claim; no phone records a video this large."""
_BOMB_SIZE, _BOMB_RATIO = 256 << 20, 200
"""A member above both counts as a ZIP bomb: photos and videos hardly compress, an export's JSON 20 to 50 times."""

_KEPT_OPEN = 100
"""How many archives stay open at once; systems allow a process at least 256 open files."""

_HEADER = struct.Struct("<4s22xHH")
_PATCHED = 0x20


def open_archive(archive: Path) -> Directory:
    """Open an archive for reading; the last hundred are cached until their file changes.

    Raises:
        OSError: The archive cannot be read.
        zipfile.BadZipFile: It is not a ZIP archive, or its central directory is damaged.
    """
    stat = archive.stat()
    # A forked child must not share its parent's file position.
    return _opened(archive, stat.st_mtime_ns, stat.st_size, os.getpid())


@functools.lru_cache(maxsize=_KEPT_OPEN)
def _opened(archive: Path, mtime_ns: int, size: int, process: int) -> Directory:
    return Directory(archive)


def open_member(archive: Path, member: str) -> BinaryIO:
    """Open one file of an archive as a sequential binary stream.

    Args:
        archive: The archive's path.
        member: The file's name as written in the archive.

    Raises:
        OSError: The archive cannot be read, or has no such member.
        zipfile.BadZipFile: The member is damaged, encrypted, compressed with an unknown method, or a ZIP bomb.
            Some damage only shows while reading, which then raises one of these two errors.
    """
    found = _find(archive, member)
    if found.size > _LARGEST_MEMBER or (found.size > _BOMB_SIZE and found.size > found.packed * _BOMB_RATIO):
        raise zipfile.BadZipFile(
            _("{member}: claims to unpack to {size} bytes; not opened").format(member=member, size=found.size)
        )
    if found.flags & (ENCRYPTED | _PATCHED):
        raise zipfile.BadZipFile(_("{member}: encrypted, or packed in an unknown way").format(member=member))
    file = archive.open("rb")
    try:
        return io.BufferedReader(_Member(_unpacked(file, found)), buffer_size=1 << 18)
    except BaseException as error:
        file.close()
        if isinstance(error, (NotImplementedError, RuntimeError, ValueError, struct.error)):
            raise zipfile.BadZipFile(str(error)) from error
        raise


def checksum(archive: Path, member: str) -> int:
    """Return a member's CRC-32 as recorded in the archive, without reading its content.

    Raises:
        OSError: The archive cannot be read, or has no such member.
        zipfile.BadZipFile: The archive is damaged.
    """
    return _find(archive, member).checksum


def _find(archive: Path, member: str) -> Member:
    found = open_archive(archive).find(member)
    if found is None:
        raise FileNotFoundError(f"{archive}!{member}")
    return found


def _unpacked(file: BinaryIO, member: Member) -> io.BufferedIOBase:
    """Return a stream of a member's content that verifies the CRC-32 at its end; closing it closes ``file``."""
    file.seek(member.position)
    signature, name_length, extra_length = _HEADER.unpack(file.read(_HEADER.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile(_("{member}: its header is damaged").format(member=member.name))
    file.seek(name_length + extra_length, os.SEEK_CUR)
    info = zipfile.ZipInfo("member")
    info.compress_type, info.CRC = member.method, member.checksum
    info.compress_size, info.file_size = member.packed, member.size
    return zipfile.ZipExtFile(file, "r", info, close_fileobj=True)


class _Member(io.RawIOBase):
    """A member's content as a raw stream that raises BadZipFile for any kind of damage."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except (zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise zipfile.BadZipFile(_("damaged: {error}").format(error=error)) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def safe_name(name: str) -> str | None:
    """Normalize a path relative to an export's root; ``None`` for one that would escape the root.

    Absolute paths, drive letters, ``..``, URLs and NUL characters all count as escaping.
    """
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts or plain.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in plain:
        return None
    return "/".join(parts)
