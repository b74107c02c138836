"""Text that came through the wrong encoding: captions of Instagram's export, names from Korean Windows."""

import os
import re

_HALF = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}")
_DOTS = ("…".encode(), b"...")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def repair(text: str) -> str:
    r"""Undo the export's double encoding, strictly: a string that is not damaged comes back as it is.

    ``"ê°\x95"`` becomes ``"강"``. Applied once, to one string at a time: a lenient or repeated repair destroys
    text that is already right. A caption cut in the middle of a character loses only that half character.

    Args:
        text: Any string of the export, keys included.

    Returns:
        The repaired text; half surrogates, which no file or database can hold, come out as U+FFFD.
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
        # Only a cut after text that is damaged for certain, with nothing but dots behind it, is taken for a truncated
        # caption: "café" in plain Latin-1 ends the same way.
        whole, half = raw[: error.start], raw[error.start :]
        tail = next((dots for dots in _DOTS if half.endswith(dots)), b"")
        if not whole.isascii() and _HALF.fullmatch(half.removesuffix(tail)):
            return (whole + tail).decode("utf-8")
        return text


def readable(name: str) -> str:
    """Give a file's name as text that can be shown and stored.

    Names that Windows packed in CP949 and Linux unpacked byte by byte come out in Korean.
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
    """Give a path as text that can be shown and stored, another one for each path."""
    return path.encode(errors="backslashreplace").decode()


def printable(path: str) -> str:
    """Give a path as one line that can be printed, control characters spelled out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), escaped(path))


def without_half_surrogates(text: str) -> str:
    """Replace half surrogates, which no file or database can hold, by U+FFFD."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
