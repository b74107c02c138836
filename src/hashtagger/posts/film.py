"""Read a video's creation time from an MP4 or QuickTime header (ISO/IEC 14496-12, section 8.2.2)."""

import os
import struct
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import BinaryIO

from hashtagger.posts.dates import from_timestamp

FILMS = frozenset({"mp4", "m4v", "mov", "3gp", "3g2"})
"""Extensions of files that have such a header."""

_FROM_1904_TO_1970 = 2_082_844_800
_MOST_BOXES = 10_000


def creation_time(stream: BinaryIO, zone: tzinfo) -> datetime | None:
    """Read a video's creation time, stored in UTC; ``None`` if it is missing or implausible.

    Programs that do not know the time write zero, which means the year 1904.

    Raises:
        OSError: The file cannot be read.
    """
    length = stream.seek(0, os.SEEK_END)
    for name, start, end in _boxes(stream, 0, length):
        if name == b"moov":
            for inner, at, _end in _boxes(stream, start, end):
                if inner == b"mvhd":
                    stream.seek(at)
                    return _moment(stream.read(12), zone)
    return None


def _moment(header: bytes, zone: tzinfo) -> datetime | None:
    if len(header) < 12:
        return None
    (seconds,) = struct.unpack_from(">Q" if header[0] == 1 else ">I", header, 4)
    return from_timestamp(seconds - _FROM_1904_TO_1970, zone)


def _boxes(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, content start and content end of each box between two offsets of a file."""
    for _number in range(_MOST_BOXES):
        stream.seek(start)
        header = stream.read(16)
        if len(header) < 8:
            return
        size, name = struct.unpack_from(">I4s", header)
        body = start + 8
        if size == 1 and len(header) == 16:
            (size,), body = struct.unpack_from(">Q", header, 8), start + 16
        stop = start + size if size else end
        if stop < body or stop > end:
            return
        yield name, body, stop
        start = stop
