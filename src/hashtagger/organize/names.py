"""File and folder names that are valid on every common file system and stay distinct where case is ignored."""

import re
import unicodedata

from hashtagger.posts import sniff

# A path component is limited to 255 bytes (Linux) or UTF-16 units (Windows, macOS). Reserve room for these suffixes.
_MAX_BYTES = 255 - len(" (9999999)") - len(".xmp")
_LONGEST_SUFFIX = 20
_NUMBER = re.compile(r" \((\d+)\)$")
_PLAIN = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_()-]{0,200}(\.[0-9A-Za-z]{1,9})?")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\s*(\.|$))")


def safe_name(name: str) -> str:
    """Make a file or folder name safe on Windows, macOS and Linux.

    The name is normalized to NFC. Characters that Windows forbids, control characters (including those that change the
    text direction) and undecodable bytes become ``_``. Surrounding whitespace and trailing dots are stripped, a
    reserved device name gets ``_`` appended, and the stem of a long name is truncated without splitting a character.

    Returns:
        A name of 1 to 241 UTF-8 bytes, which leaves room for a number and ``.xmp``.
    """
    if _PLAIN.fullmatch(name) and not _RESERVED.match(name):
        return name
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip().rstrip(". ")
    name = _RESERVED.sub(r"\1_", name) or "_"
    if len(name.encode()) > _MAX_BYTES:
        stem, suffix = split(name)
        name = stem.encode()[: _MAX_BYTES - len(suffix.encode())].decode(errors="ignore").rstrip(". ") + suffix
    return name


def split(name: str) -> tuple[str, str]:
    """Split a name into its stem and its extension (with the dot, or ``""``).

    ``IMG.jpg.xmp``, which photo managers use for the sidecar of ``IMG.jpg``, has the extension ``.jpg.xmp``.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem or not suffix or len(suffix.encode()) > _LONGEST_SUFFIX or " " in suffix:
        return name, ""
    if suffix.lower() == "xmp" and sniff.of_name(stem):
        stem, inner = split(stem)
        return stem, inner + dot + suffix
    return stem, dot + suffix


def numbered(name: str, number: int) -> str:
    """Insert a number before the extension, as in ``IMG (2).jpg``; number 1 leaves the name as it is."""
    stem, suffix = split(name)
    return name if number == 1 else f"{stem} ({number}){suffix}"


def number_of(name: str, given: str) -> int:
    """Return the number with which :func:`numbered` turned ``name`` into ``given``."""
    found = _NUMBER.search(split(given)[0])
    return int(found[1]) if found and given != name else 1


def stem(name: str) -> str:
    """Return a key that is equal for names that differ only in their extensions (or case)."""
    return key(split(name)[0])


def key(name: str) -> str:
    """Return a key that is equal for names that a case-insensitive file system treats as one."""
    return unicodedata.normalize("NFC", name.casefold())
