"""Index a ZIP archive's central directory in 16 bytes per file; the entries themselves stay on disk.

The layout follows PKWARE's APPNOTE 6.3: sections 4.3.12 (entries) and 4.3.14 to 4.3.16 (end records that locate them).
"""

import os
import struct
import threading
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

from hashtagger.i18n import _

_ENTRY = struct.Struct("<4s4xHHHHIIIHHH8xI")  # from the signature to the offset of the local header
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR64 = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4s12xIIQQQQ")
_LONGEST_COMMENT = 0xFFFF
_MAX_UINT32, _MAX_UINT16 = 0xFFFFFFFF, 0xFFFF
_USUAL_ENTRY, _LONGEST_ENTRY = 1 << 10, 1 << 18
"""Bytes to read for an entry: enough for most, and enough for any (46 plus three fields of at most 65535)."""
_CHUNK = 1 << 20
ENCRYPTED = 0x1
"""Flag bit of an encrypted entry."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive, as described by the central directory.

    Attributes:
        name: Decoded path, with forward slashes.
        flags: General purpose bit flags; bit 0 means encrypted.
        method: Compression method: 0 stored, 8 deflated, ...
        clock: Modification time and date in DOS format, two 16-bit numbers.
        checksum: CRC-32 of the content.
        packed: Compressed size in bytes.
        size: Uncompressed size in bytes, as claimed.
        position: Offset of the local file header in the archive.
    """

    name: str
    flags: int
    method: int
    clock: tuple[int, int]
    checksum: int
    packed: int
    size: int
    position: int

    def modified(self) -> tuple[int, int, int, int, int, int]:
        """Return year, month, day, hour, minute and second of the modification time, which may be invalid."""
        time, date = self.clock
        return (
            (date >> 9) + 1980, date >> 5 & 0xF, date & 0x1F,
            time >> 11, time >> 5 & 0x3F, (time & 0x1F) * 2,
        )  # fmt: skip


class SplitZipError(BadZipFile):
    """The file is one piece of a split archive."""


class Directory:
    """Index of an archive's files by name; safe to use from several threads.

    Args:
        path: The archive.

    Attributes:
        encrypted: Whether all of the archive's content needs a password.

    Raises:
        OSError: The archive cannot be read.
        zipfile.BadZipFile: It is not a ZIP archive, or its central directory is damaged or in another file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("rb", buffering=0)
        try:
            self._start, self._length, self._shift = _find_entries(self._file)
            hashes, positions = array("q"), array("Q")
            filled = readable = False
            for position, member in self._entries():
                hashes.append(hash(_key(member.name)))
                positions.append(position)
                filled |= member.size > 0
                readable |= member.size > 0 and not member.flags & ENCRYPTED
            self.encrypted = filled and not readable
        except (struct.error, ValueError, OverflowError) as error:
            self._file.close()
            raise BadZipFile(_("its table of contents is damaged")) from error
        except BaseException:
            self._file.close()
            raise
        # Sorted by hash for `find`. The sort is stable, so of two files with the same name the later one is found.
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
        self._hashes = array("q", (hashes[index] for index in order))
        self._positions = array("Q", (positions[index] for index in order))

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def names(self) -> Iterator[str]:
        """Yield the names of all files and folders in archive order; folder names end in a slash."""
        return (member.name for _position, member in self._entries())

    def find(self, name: str) -> Member | None:
        """Find a file by name, in NFC or NFD; ``None`` if there is none."""
        key = _key(name)
        index = bisect_right(self._hashes, hash(key)) - 1
        if index < 0 or self._hashes[index] != hash(key):
            return None
        with self._lock:
            self._file.seek(self._positions[index])
            data = self._file.read(_USUAL_ENTRY)
            if len(data) < sum(struct.unpack_from("<HH", data, 28)) + _ENTRY.size:
                data += self._file.read(_LONGEST_ENTRY)
        member, _length = self._parse(data, 0)
        return member if _key(member.name) == key else None

    def _entries(self) -> Iterator[tuple[int, Member]]:
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._start)
            left, data, at, base = self._length, b"", 0, self._start
            while left or at < len(data):
                if left and len(data) - at < _LONGEST_ENTRY:
                    more = file.read(min(left, _CHUNK))
                    if not more:
                        raise BadZipFile(_("its table of contents is damaged"))
                    left -= len(more)
                    base += at
                    data, at = data[at:] + more, 0
                    continue
                member, length = self._parse(data, at)
                yield base + at, member
                at += length

    def _parse(self, data: bytes, at: int) -> tuple[Member, int]:
        (
            signature, flags, method, time, date, checksum, packed, size, name_length, extra_length, comment_length,
            position,
        ) = _ENTRY.unpack_from(data, at)  # fmt: skip
        if signature != b"PK\x01\x02":
            raise BadZipFile(_("its table of contents is damaged"))
        end = at + _ENTRY.size + name_length
        name = _decoded(data[at + _ENTRY.size : end])
        if _MAX_UINT32 in (packed, size, position):
            size, packed, position = _resolve_zip64(data[end : end + extra_length], size, packed, position)
        member = Member(name, flags, method, (time, date), checksum, packed, size, position + self._shift)
        return member, _ENTRY.size + name_length + extra_length + comment_length


def _find_entries(file: BinaryIO) -> tuple[int, int, int]:
    """Return the central directory's start and length, and the shift to add to every offset in it."""
    length = file.seek(0, os.SEEK_END)
    tail_start = max(length - _END.size - _LONGEST_COMMENT, 0)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise BadZipFile(_("it has no table of contents"))
    _s, disk, first_disk, _here, _count, size, start, _comment = _END.unpack_from(tail, at)
    end = tail_start + at
    if (at64 := end - _LOCATOR64.size) >= 0:
        file.seek(at64)
        signature, disk64, _position, disks = _LOCATOR64.unpack(file.read(_LOCATOR64.size))
        if signature == b"PK\x06\x07":
            if disk64 or disks > 1:
                raise SplitZipError("archives split over several disks are not supported")
            # The record ends where its locator begins; the offset in the locator is wrong if data precedes the archive.
            file.seek(at64 - _END64.size)
            record = file.read(_END64.size)
            if record.startswith(b"PK\x06\x06"):
                _s, disk, first_disk, _here, _count, size, start = _END64.unpack(record)
                end = at64 - _END64.size
    if disk not in (0, _MAX_UINT16) or first_disk not in (0, _MAX_UINT16):
        raise SplitZipError("archives split over several disks are not supported")
    shift = end - size - start
    if size > end or start + shift < 0 or shift < 0:
        raise BadZipFile(_("its table of contents is damaged"))
    return start + shift, size, shift


def _resolve_zip64(extra: bytes, *values: int) -> list[int]:
    """Return the sizes and offset, with those that do not fit 32 bits read from the ZIP64 extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            large = iter(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            found = [next(large, None) if value == _MAX_UINT32 else value for value in values]
            if None in found:
                break
            return [value for value in found if value is not None]
        at += 4 + length
    raise BadZipFile(_("its table of contents is damaged"))


def _decoded(raw: bytes) -> str:
    """Decode a name as UTF-8 if possible, flagged so or not, else as CP949 (Korean Windows) or CP437 (DOS)."""
    name = raw.partition(b"\0")[0]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        try:
            text = name.decode("cp949")
        except UnicodeDecodeError:
            text = name.decode("cp437")
    # Some Windows tools write backslashes, against the standard.
    return text.replace("\\", "/")


def _key(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
