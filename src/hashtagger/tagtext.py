"""Tags as text: clean them for comparison, and extract them from captions."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

_PLAIN = re.compile("[#＃]?([가-힣a-z0-9]+)")
_HASHES = "#＃﹟♯"
_SPLIT = re.compile(f"[{_HASHES}]")
# Hangul fillers look blank but count as letters in Unicode, and NFKC maps some of them to others.
_BLANK = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800\u00ad\u034f"))
# Categories of invisible characters. Cn (unassigned) is not among them: it may be an emoji newer than this Python.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"))
_NOT_JAMO = re.compile("[^ㄱ-ㆎ]+")
# Only after other text, not after single jamo: ㄱㅗㅇㅑㅇㅇㅣ is a word typed in jamo, not laughter.
_LAUGH = re.compile("^([^ㄱ-ㆎ]*[^ㄱ-ㆎ_])[ㅋㅎㅠㅜㅡ_]+$")
_UNDERSCORES = re.compile("__+")


class _Kept(dict[int, str | None]):
    """Translation table that keeps letters, digits, their combining marks and underscores, and deletes the rest."""

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        mark = category[0] == "M" and category != "Me" and not (0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF)
        kept = chr(code) if category[0] in "LN" or mark or code == 0x5F else None
        if len(self) < 65536:
            self[code] = kept
        return kept


# Ornamental letters that NFKC does not map to plain ones.
_DRAWN = dict(zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"), "abcdefghijklmnoprstuvwyz", strict=True))
_DRAWN |= {first + i: chr(ord("a") + i) for first in (0x1F150, 0x1F170) for i in range(26)}
_KEPT = _Kept({**_BLANK, **_DRAWN})


def _clean_once(text: str) -> str:
    text = unicodedata.normalize("NFC", text.translate(_BLANK))
    # NFKC maps compatibility jamo (ㅋㅋ) to conjoining jamo, which no longer compare equal, so they are exempt.
    text = _NOT_JAMO.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text).lower()
    text = unicodedata.normalize("NFC", text.translate(_KEPT))
    return _LAUGH.sub(r"\1", _UNDERSCORES.sub("_", text).strip("_"))


def clean(tag: str) -> str:
    """Convert one tag to the canonical form in which tags are compared. Idempotent.

    The result is NFC, in lower case, with full-width and ornamental letters made plain, and without ``#``, emoji,
    invisible characters, spaces, punctuation, outer underscores and trailing laughter or crying (``ㅋㅋ``, ``ㅠㅠ``).
    If that leaves nothing, only ``#`` is removed (``"🐶"`` stays); if nothing visible remains, the result is empty.
    Glued tags (``"#a#b"``) are joined by a single ``#``.
    """
    plain = _PLAIN.fullmatch(tag) or _PLAIN.fullmatch(tag := unicodedata.normalize("NFC", tag))
    if plain:
        return plain[1]
    parts = []
    for part in _SPLIT.split(tag):
        cleaned = part
        # Repeat until stable, which makes cleaning idempotent: one pass can expose what the next one removes.
        while (once := _clean_once(cleaned)) != cleaned:
            cleaned = once
        if cleaned:
            parts.append(cleaned)
    if parts:
        return "#".join(parts)
    rest = unicodedata.normalize("NFC", _SPLIT.sub("", tag).strip())
    return rest if any(unicodedata.category(char) not in _UNSEEN for char in rest.translate(_BLANK)) else ""


def parts(tags: Iterable[str]) -> Iterator[str]:
    """Clean tags (:func:`clean`) and split glued ones."""
    return (part for tag in tags for part in clean(tag).split("#"))


_CAPTION_TAG = re.compile(
    # A keycap emoji (#️⃣) starts with #, but is not a tag.
    "[#＃](?!\ufe0f?\u20e3)"
    # On Instagram, spaces, another # and punctuation end a tag; emoji, joiners and letters of any script do not.
    "([^\\s#＃!-/:-@\\[-\\^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf"
    "\u2000-\u200a\u2010-\u203b\u203d-\u2048\u204a-\u205f\u3000-\u3004\u3008-\u3020\u3030"
    "\u318f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3e\uff40\uff5b-\uff65]+)"
)
_INVISIBLE_TAIL = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u2800\u3164\u00ad"


def extract_tags(caption: str) -> list[str]:
    """Extract the tags of a caption as Instagram links them, in order, in NFC, without ``#``.

    A tag ends at a space, at punctuation or at the next ``#``. It may contain emoji, but not only digits.
    """
    found = (
        unicodedata.normalize("NFC", match).strip(_INVISIBLE_TAIL)
        for match in _CAPTION_TAG.findall(unicodedata.normalize("NFC", caption))
    )
    return [tag for tag in found if tag and not tag.isdecimal()]


def caption_tags(caption: str, keywords: Iterable[str] = ()) -> tuple[str, ...]:
    """Combine a post's keywords and the hashtags of its caption, in this order, as typed, without duplicates."""
    return tuple(dict.fromkeys([*keywords, *extract_tags(caption)]))
