"""Tags as text: cleaning one for comparing, and finding those of a caption."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

_PLAIN = re.compile("[#＃]?([가-힣a-z0-9]+)")
_HASHES = "#＃﹟♯"
_SPLIT = re.compile(f"[{_HASHES}]")
# Fillers look blank, but are letters to Unicode, and NFKC would turn one into another.
_BLANK = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800\u00ad\u034f"))
# Of characters that are neither letters nor digits. Emoji may be Cn, unassigned, where Python is older than they are.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"))
_NOT_JAMO = re.compile("[^ㄱ-ㆎ]+")
# Not behind other lone letters: ㄱㅗㅇㅑㅇㅇㅣ is a word typed apart, not laughter.
_LAUGH = re.compile("^([^ㄱ-ㆎ]*[^ㄱ-ㆎ_])[ㅋㅎㅠㅜㅡ_]+$")
_UNDERSCORES = re.compile("__+")


class _Kept(dict[int, str | None]):
    """What cleaning leaves of a character: letters, digits, their marks and underscores; nothing else."""

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        mark = category[0] == "M" and category != "Me" and not (0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF)
        kept = chr(code) if category[0] in "LN" or mark or code == 0x5F else None
        if len(self) < 65536:
            self[code] = kept
        return kept


# Letters that are drawn to look like others, which Unicode does not hold to be the same.
_DRAWN = dict(zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"), "abcdefghijklmnoprstuvwyz", strict=True))
_DRAWN |= {first + i: chr(ord("a") + i) for first in (0x1F150, 0x1F170) for i in range(26)}
_KEPT = _Kept({**_BLANK, **_DRAWN})


def _clean_once(text: str) -> str:
    text = unicodedata.normalize("NFC", text.translate(_BLANK))
    # NFKC breaks ㅋㅋ and the like into pieces that no longer compare equal, so those stay out of it.
    text = _NOT_JAMO.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text).lower()
    text = unicodedata.normalize("NFC", text.translate(_KEPT))
    return _LAUGH.sub(r"\1", _UNDERSCORES.sub("_", text).strip("_"))


def clean(tag: str) -> str:
    """Bring one tag to the form in which tags are compared.

    NFC, lower case, full-width and ornamental letters made plain; without ``#``, emoji, invisible characters,
    spaces, punctuation, outer underscores and a tail of laughing or crying. A tag of nothing else (``"🐶"``) stays
    as it is but for ``#``; one of nothing that can be seen is empty. Glued tags (``"#a#b"``) stay glued with one
    ``#`` between. Idempotent.
    """
    plain = _PLAIN.fullmatch(tag) or _PLAIN.fullmatch(tag := unicodedata.normalize("NFC", tag))
    if plain:
        return plain[1]
    parts = []
    for part in _SPLIT.split(tag):
        cleaned = part
        # A pass can bring out what the next one removes: a mark that lost its letter, a laugh behind an emoji.
        while (once := _clean_once(cleaned)) != cleaned:
            cleaned = once
        if cleaned:
            parts.append(cleaned)
    if parts:
        return "#".join(parts)
    rest = unicodedata.normalize("NFC", _SPLIT.sub("", tag).strip())
    return rest if any(unicodedata.category(char) not in _UNSEEN for char in rest.translate(_BLANK)) else ""


def parts(tags: Iterable[str]) -> Iterator[str]:
    """Clean tags (:func:`clean`) and take glued ones apart."""
    return (part for tag in tags for part in clean(tag).split("#"))


_CAPTION_TAG = re.compile(
    # A keycap is an emoji, though it begins like a tag.
    "[#＃](?!\ufe0f?\u20e3)"
    # What ends a tag on Instagram: space, another hash, and punctuation; not emoji, joiners or letters of any script.
    "([^\\s#＃!-/:-@\\[-\\^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf"
    "\u2000-\u200a\u2010-\u203b\u203d-\u2048\u204a-\u205f\u3000-\u3004\u3008-\u3020\u3030"
    "\u318f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3e\uff40\uff5b-\uff65]+)"
)
_INVISIBLE_TAIL = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u2800\u3164\u00ad"


def extract_tags(caption: str) -> list[str]:
    """Find the tags of a caption as Instagram links them, in order, in NFC, without ``#``.

    A tag ends at a space, at punctuation or at the next ``#``; emoji are part of it; digits alone are none.
    """
    found = (
        unicodedata.normalize("NFC", match).strip(_INVISIBLE_TAIL)
        for match in _CAPTION_TAG.findall(unicodedata.normalize("NFC", caption))
    )
    return [tag for tag in found if tag and not tag.isdecimal()]


def caption_tags(caption: str, keywords: Iterable[str] = ()) -> tuple[str, ...]:
    """Collect a post's tags: keywords first, then the hashtags of its caption, each once, in order, as typed."""
    return tuple(dict.fromkeys([*keywords, *extract_tags(caption)]))
