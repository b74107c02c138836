"""Stream a JSON list entry by entry: an export's ``posts_1.json`` may be larger than memory."""

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

from hashtagger.i18n import _

_CHUNK = 1 << 16
_LARGEST_ENTRY = 1 << 26
"""Largest entry in characters; a post has at most a few thousand."""

_POST_KEYS = frozenset({"media", "uri", "label_values", "media_map_data"})
"""Keys that mark an object as a post, not a wrapper around posts."""

# Bare line breaks in captions, as scripts that repair the encoding of an export leave them, are read too.
_decoder = json.JSONDecoder(strict=False)


def entries(stream: BinaryIO) -> Iterator[tuple[str | None, object]]:
    """Yield the entries of a JSON file one at a time, each with the key of the list that holds it.

    The elements of a bare array come with ``None``. An object yields the elements of its lists, also of those one
    level deeper, with the list's key. A post in place of a list of posts is yielded like a list of one.

    Raises:
        ValueError: The JSON is invalid from here on; all entries before have been yielded.
        OSError: The file cannot be read.
    """
    text = _Text(stream)
    start = text.peek()
    if start == "[":
        for value in _array(text):
            yield None, value
    elif start == "{":
        yield from _object(text)
    else:
        raise ValueError(_("it is neither a JSON list nor a JSON object") if start else _("it is empty"))
    if text.peek():
        raise ValueError(_("it goes on after its end"))


def _array(text: "_Text") -> Iterator[object]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.take(",]") == "]":
            return


def _object(text: "_Text") -> Iterator[tuple[str | None, object]]:
    text.take("{")
    own: dict[str, object] = {}
    if text.peek() == "}":
        text.take("}")
        return
    while True:
        key = text.value()
        if not isinstance(key, str):
            raise ValueError(_("a key is not a string: {key}").format(key=repr(key)[:40]))
        text.take(":")
        if text.peek() == "[" and key not in _POST_KEYS:
            for value in _array(text):
                yield key, value
        else:
            own[key] = text.value()
        if text.take(",}") == "}":
            break
    if not _POST_KEYS.isdisjoint(own):
        yield None, own
        return
    for key, inner in own.items():
        if isinstance(inner, dict) and not _POST_KEYS.isdisjoint(inner):
            yield key, inner
        elif isinstance(inner, dict):
            yield from ((name, one) for name, value in inner.items() if isinstance(value, list) for one in value)


class _Text:
    """The file's text, with only the part being parsed in memory."""

    def __init__(self, stream: BinaryIO) -> None:
        head = stream.read(2)
        encoding = "utf-16" if head in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        # One bad byte costs one character, not the file.
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._stream = stream
        self._buffer = self._decoder.decode(head)
        self._position = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next non-whitespace character without consuming it; ``""`` at the end."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in " \t\r\n":
                    return character
                self._position += 1
            if not self._fill(_CHUNK):
                return ""

    def take(self, allowed: str) -> str:
        """Consume the next character, which must be one of ``allowed``."""
        character = self.peek()
        if not character:
            raise ValueError(_("it ends too early"))
        if character not in allowed:
            unexpected = _("it has {found} where one of {allowed} is expected")
            raise ValueError(unexpected.format(found=character, allowed=" ".join(allowed)))
        self._position += 1
        return character

    def value(self) -> object:
        """Consume one JSON value."""
        self.peek()
        want = _CHUNK
        while True:
            try:
                value, end = _decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if self._fill(want):
                    want *= 2
                    continue
                raise ValueError(_("it ends too early") if error.pos >= len(self._buffer) else error.msg) from error
            except RecursionError as error:
                raise ValueError(_("it is nested too deeply")) from error
            # A number at the end of the buffer may continue in the next chunk, even after "1e+".
            if len(self._buffer) - end < 4 and self._fill(want):
                continue
            self._position = end
            return value

    def _fill(self, size: int) -> bool:
        if self._ended:
            return False
        if len(self._buffer) - self._position > _LARGEST_ENTRY:
            raise ValueError(_("one entry is too large"))
        data = self._stream.read(size)
        self._ended = not data
        more = self._decoder.decode(data, final=self._ended)
        if self._ended and not more:
            return False
        self._buffer = self._buffer[self._position :] + more
        self._position = 0
        return True
