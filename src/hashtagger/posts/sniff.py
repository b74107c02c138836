"""Detect the kind of a file by its extension, or by its first bytes where the extension cannot be trusted."""

from collections.abc import Callable
from typing import BinaryIO

from hashtagger.posts.post import MediaKind

PHOTO = frozenset(
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "heic", "heif", "hif", "avif", "gif", "bmp", "tif", "tiff", "jxl"]
)
VIDEO = frozenset(["mp4", "m4v", "mov", "avi", "mkv", "webm", "3gp", "3g2", "mts", "m2ts", "mpg", "mpeg", "wmv", "flv"])
RAW = frozenset([
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "dng", "raf", "orf", "rw2", "pef", "srw", "raw", "rwl",
    "iiq", "3fr", "x3f",
])  # fmt: skip
COMPANION = frozenset(["xmp", "aae", "srt", "vtt", "thm"])
"""Files that only make sense next to a photo or a video: sidecars, edits, subtitles."""

HEAD = 32
"""How many bytes `of_bytes` needs."""

_UNRELIABLE = frozenset({"heic", "webp"})
"""Extensions that Instagram also gives to JPEG files."""

_MAGIC: tuple[tuple[int, bytes, MediaKind, str], ...] = (
    (0, b"\xff\xd8\xff", "photo", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "photo", "png"),
    (0, b"GIF87a", "photo", "gif"),
    (0, b"GIF89a", "photo", "gif"),
    (8, b"WEBP", "photo", "webp"),
    (8, b"AVI ", "video", "avi"),
    (0, b"BM", "photo", "bmp"),
    (0, b"II*\0", "photo", "tif"),
    (0, b"MM\0*", "photo", "tif"),
    (0, b"\x1aE\xdf\xa3", "video", "webm"),
)
_BRANDS: dict[bytes, tuple[MediaKind, str]] = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), ("photo", "heic")),
    **dict.fromkeys((b"avif", b"avis"), ("photo", "avif")),
    b"qt  ": ("video", "mov"),
}


def extension(name: str) -> str:
    """Return a name's extension in lower case without the dot; ``""`` if it has none."""
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if stem and dot else ""


def stem(name: str) -> str:
    """Return a name without its extension."""
    return name.rsplit(".", 1)[0] if "." in name[1:] else name


def of_name(name: str) -> MediaKind | None:
    """Return the kind of a file by its extension; ``None`` if it is neither media nor a companion file."""
    ending = extension(name)
    if ending in PHOTO:
        return "photo"
    if ending in VIDEO:
        return "video"
    return "other" if ending in RAW or ending in COMPANION else None


def of_bytes(head: bytes) -> tuple[MediaKind, str] | None:
    """Return kind and extension by a file's first `HEAD` bytes; ``None`` for an unknown format."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], ("video", "mp4"))
    for offset, magic, kind, ending in _MAGIC:
        if head.startswith(magic, offset):
            return kind, ending
    return None


def name_and_kind(
    name: str, open_file: Callable[[], BinaryIO], hint: MediaKind | None = None
) -> tuple[str, MediaKind | None]:
    """Return a file's name, with an extension that matches the content, and its kind.

    Args:
        name: The file's name.
        open_file: Opens the file; called only if its extension cannot be trusted.
        hint: The kind according to the export, for a file that is not recognized.

    Raises:
        OSError: The file cannot be read.
        zipfile.BadZipFile: The file is in an archive and damaged there.
    """
    kind = of_name(name)
    if kind is not None and extension(name) not in _UNRELIABLE:
        return name, kind
    with open_file() as stream:
        found = of_bytes(stream.read(HEAD))
    if found is None:
        return name, kind or hint
    if extension(name) == found[1]:
        return name, found[0]
    return f"{name if kind is None else stem(name)}.{found[1]}", found[0]
