"""File and folder names that every common file system takes, and that stay apart where case is ignored."""

import re
import unicodedata

from hashtagger.posts import sniff

# A component may have 255 bytes (Linux) or UTF-16 units (Windows, macOS). Room stays for " (9999999)" and ".xmp".
_ROOM = 255 - len(" (9999999)") - len(".xmp")
_LONGEST_SUFFIX = 20
_NUMBER = re.compile(r" \((\d+)\)$")
_PLAIN = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_()-]{0,200}(\.[0-9A-Za-z]{1,9})?")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\s*(\.|$))")


def safe_name(name: str) -> str:
    """Make a file or folder name safe on Windows, macOS and Linux.

    It is put in NFC; characters that Windows forbids, control characters (those that turn the direction of writing
    too) and undecodable bytes become ``_``; blanks at both ends and dots at the end go; a reserved device name gets
    ``_`` after it; what is too long is cut at a character, before the extension.

    Returns:
        A name of 1 to 241 bytes in UTF-8, so that a number and ``.xmp`` still fit.
    """
    if _PLAIN.fullmatch(name) and not _RESERVED.match(name):
        return name
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip().rstrip(". ")
    name = _RESERVED.sub(r"\1_", name) or "_"
    if len(name.encode()) > _ROOM:
        stem, suffix = split(name)
        name = stem.encode()[: _ROOM - len(suffix.encode())].decode(errors="ignore").rstrip(". ") + suffix
    return name


def split(name: str) -> tuple[str, str]:
    """Split a name into what comes before its extension, and the extension with its dot (or ``""``).

    ``IMG.jpg.xmp``, as photo managers name the sidecar of ``IMG.jpg``, has both for its extension.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem or not suffix or len(suffix.encode()) > _LONGEST_SUFFIX or " " in suffix:
        return name, ""
    if suffix.lower() == "xmp" and sniff.of_name(stem):
        stem, inner = split(stem)
        return stem, inner + dot + suffix
    return stem, dot + suffix


def numbered(name: str, number: int) -> str:
    """Put a number before the extension, ``IMG (2).jpg``; the first has none."""
    stem, suffix = split(name)
    return name if number == 1 else f"{stem} ({number}){suffix}"


def number_of(name: str, given: str) -> int:
    """Tell which number a name got."""
    found = _NUMBER.search(split(given)[0])
    return int(found[1]) if found and given != name else 1


def stem(name: str) -> str:
    """What two names have in common that differ in their extensions only."""
    return key(split(name)[0])


def key(name: str) -> str:
    """What two names have in common that a case-insensitive file system takes for one."""
    return unicodedata.normalize("NFC", name.casefold())
