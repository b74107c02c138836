"""Find the right encoding: of captions in Instagram's export, of names from Korean Windows, of text in old files."""

import codecs
import os
import re
from contextlib import suppress

_HALF = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}")
_DOTS = ("…".encode(), b"...")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def repair(text: str) -> str:
    r"""Undo the export's double encoding, strictly: an undamaged string is returned unchanged.

    ``"ê°\x95"`` becomes ``"강"``. Apply it once, to one string at a time: a lenient or repeated repair would destroy
    text that is already correct. A caption cut in the middle of a character loses only that character.

    Args:
        text: Any string of the export, keys included.

    Returns:
        The repaired text; lone surrogates, which no file or database can store, become U+FFFD.
    """
    if text.isascii():
        return text
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return without_half_surrogates(text)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # An incomplete character counts as a truncated caption only after text that is certainly damaged, and with
        # nothing but dots behind it: "café" in plain Latin-1 ends the same way.
        whole, half = raw[: error.start], raw[error.start :]
        tail = next((dots for dots in _DOTS if half.endswith(dots)), b"")
        if not whole.isascii() and _HALF.fullmatch(half.removesuffix(tail)):
            return (whole + tail).decode("utf-8")
        return text


def decoded(raw: bytes) -> str:
    """Decode text as UTF-8 or as older programs wrote it: in UTF-16 with a mark, CP949 (Korean) or CP1252 (Western)."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    with suppress(UnicodeDecodeError):
        # Programs cut text after a number of bytes, so half a character may end it; after ASCII alone, that may also
        # be a whole one of CP1252.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(raw)
        if raw.isascii() or not text.isascii():
            return text
    with suppress(UnicodeDecodeError):
        return raw.decode("cp949")
    return raw.decode("cp1252", errors="replace")


def readable(name: str) -> str:
    """Return a file name as text that can be displayed and stored.

    Names in the CP949 bytes of Korean Windows, as some tools unpack them on Linux, are decoded to Korean.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(name).decode("cp949")
        except UnicodeError:
            return escaped(name)
    return name


def escaped(path: str) -> str:
    """Return a path as text that can be displayed and stored, with undecodable bytes escaped."""
    return path.encode(errors="backslashreplace").decode()


def printable(path: str) -> str:
    """Return a path as one printable line, with control characters escaped."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), escaped(path))


def without_half_surrogates(text: str) -> str:
    """Replace lone surrogates, which no file or database can store, by U+FFFD."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
