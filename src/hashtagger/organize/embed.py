"""Embed XMP in a photo (JPEG, PNG, WebP) without touching the image data."""

import struct
import zlib
from collections.abc import Iterator
from xml.etree.ElementTree import ParseError

from hashtagger.organize.sidecar import Description, render

_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MAX_XMP = 0xFFFF - 2 - len(_JPEG_XMP)
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
_WEBP_XMP_FLAG = 0x04
_WEBP_ALPHA_FLAG = 0x10
_START = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = b'<?xpacket end="w"?>'


def embed(photo: bytes, description: Description) -> bytes:
    """Embed a description in a photo as XMP.

    Existing XMP is extended, never removed. A file of another format, a damaged one, or one in which the XMP does not
    fit is returned unchanged; the sidecar still has everything.
    """
    try:
        if photo.startswith(b"\xff\xd8\xff"):
            return _jpeg(photo, description)
        if photo.startswith(_PNG):
            return _png(photo, description)
        if photo.startswith(b"RIFF") and photo[8:12] == b"WEBP":
            return _webp(photo, description)
    except (struct.error, ParseError, ValueError, LookupError, RecursionError):
        pass
    return photo


def _packet(description: Description, existing: bytes | None) -> bytes:
    return _START + render(description, existing) + _END


def _jpeg(photo: bytes, description: Description) -> bytes:
    position = insert = 2
    while photo[position] == 0xFF and 0xE0 <= photo[position + 1] <= 0xEF:
        (length,) = struct.unpack_from(">H", photo, position + 2)
        end = position + 2 + length
        body = photo[position + 4 : end]
        if photo[position + 1] == 0xE1 and body.startswith(_JPEG_XMP):
            packet = _packet(description, body[len(_JPEG_XMP) :])
            return _with_segment(photo, position, end, packet)
        if photo[position + 1] == 0xE0 or body.startswith(b"Exif\0"):
            insert = end
        position = end
    return _with_segment(photo, insert, insert, _packet(description, None))


def _with_segment(photo: bytes, start: int, end: int, packet: bytes) -> bytes:
    if len(packet) > _JPEG_MAX_XMP:
        return photo
    header = struct.pack(">BBH", 0xFF, 0xE1, 2 + len(_JPEG_XMP) + len(packet))
    return photo[:start] + header + _JPEG_XMP + packet + photo[end:]


def _png(photo: bytes, description: Description) -> bytes:
    start = end = len(_PNG) + 25  # after IHDR, which is always 25 bytes long
    existing = None
    position = len(_PNG)
    while position < len(photo):
        (length,) = struct.unpack_from(">I", photo, position)
        body = photo[position + 8 : position + 8 + length]
        if photo[position + 4 : position + 8] == b"iTXt" and body.startswith(_PNG_XMP):
            start, end, existing = position, position + 12 + length, body[len(_PNG_XMP) :]
            break
        position += 12 + length
    body = b"iTXt" + _PNG_XMP + _packet(description, existing)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return photo[:start] + chunk + photo[end:]


def _webp(photo: bytes, description: Description) -> bytes:
    chunks = dict(_riff(photo))
    if b"VP8X" in chunks:
        header = bytearray(chunks[b"VP8X"])
    else:
        width, height, alpha = _webp_size(chunks)
        header = bytearray(struct.pack("<I", _WEBP_ALPHA_FLAG if alpha else 0))
        header += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    header[0] |= _WEBP_XMP_FLAG
    packet = _packet(description, chunks.get(b"XMP "))
    # Animations have many chunks with the same name, so keep all but the two that change.
    kept = b"".join(_chunk(name, body) for name, body in _riff(photo) if name not in (b"VP8X", b"XMP "))
    body = b"WEBP" + _chunk(b"VP8X", bytes(header)) + kept + _chunk(b"XMP ", packet)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(photo: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position < len(photo):
        name, length = struct.unpack_from("<4sI", photo, position)
        yield name, photo[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int, bool]:
    """Return width, height and whether there is transparency, for a WebP without an extended header."""
    if b"VP8L" in chunks:
        (bits,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack_from("<HH", chunks.get(b"VP8 ", b""), 6)
    return width & 0x3FFF, height & 0x3FFF, False
