"""One entry of Instagram's export, whatever its layout: what it says of a post, before its files are looked for."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from hashtagger.posts.dates import from_text, from_timestamp
from hashtagger.posts.mojibake import repair
from hashtagger.posts.post import MediaKind
from hashtagger.tagtext import extract_tags

_PERMALINK = re.compile(r"https?://(?:www\.)?instagram\.com/(?:[\w.]+/)?(?:p|reel|reels|tv)/[\w-]+/?")
_ADDRESS = re.compile(r"https?://\S+")
_NOT_ITS_OWN = frozenset({"media", "label_values", "media_map_data"})
"""Keys under which an entry that is its own only file holds what is not of that file."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that an entry names: where, relative to the export's root, and what the export says it holds."""

    uri: str
    hint: MediaKind | None = None
    backup: str | None = None


@dataclass(slots=True)
class Draft:
    """What an entry says of a post.

    Attributes:
        references: Its files, in order; web addresses are left out.
        taken_at: When, if it says so.
        caption: Its text, repaired.
        permalink: Its address, where given.
        place: The name of its place, where given.
        row: Whether it is a row of media.json, where each file of a carousel is an entry of its own.
        origin: The file that holds the entry, for messages.
        keys: Hashes; two entries that have one in common are of one post.
        tagged: What is labelled and has a hashtag, as `_labels` gives it: one of these labels is the caption's.
    """

    references: list[Reference]
    taken_at: datetime | None = None
    caption: str = ""
    permalink: str | None = None
    place: str | None = None
    row: bool = False
    origin: str = ""
    keys: frozenset[int] = frozenset()
    tagged: tuple[tuple[str, str, bool], ...] = ()

    def absorb(self, other: "Draft") -> None:
        """Take over what another entry of the same post knows; what is known already stays."""
        known = {reference.uri for reference in self.references}
        self.references += [reference for reference in other.references if reference.uri not in known]
        self.keys |= other.keys
        self.caption = self.caption or other.caption
        self.taken_at = self.taken_at or other.taken_at
        self.permalink = self.permalink or other.permalink
        self.place = self.place or other.place

    def contradicts(self, other: "Draft") -> bool:
        """Tell whether two entries that have a key in common are of two posts all the same.

        Entries that share a file are of two posts when both their words and their times differ. Entries that share
        only the moment are of two posts when their words or their addresses differ.
        """
        if self.taken_at is None or other.taken_at is None:
            return False
        texts = {unicodedata.normalize("NFC", draft.caption).strip() for draft in (self, other) if draft.caption}
        # Of entries of one moment, a single key in common is that of the moment.
        if self.taken_at == other.taken_at and len(self.keys & other.keys) == 1:
            return len(texts) > 1 or len({self.permalink, other.permalink} - {None}) > 1
        return len(texts) > 1 and abs((self.taken_at - other.taken_at).total_seconds()) > 60


def read_entry(entry: object, zone: tzinfo, caption_label: str | None = None) -> Draft | None:
    """Read one entry of any layout, decided by what it holds and not by the file it stands in.

    Args:
        entry: A parsed JSON value.
        zone: The zone for its time.
        caption_label: What captions are labelled in this part of the export, where known: labels are in the language
            that the owner's app spoke at the time.

    Returns:
        The draft, or ``None`` where the entry does not describe a post.
    """
    if not isinstance(entry, dict):
        return None
    nodes = list(_nodes(entry.get("label_values")))
    items = [item for one in (entry, *(node for node, _inside in nodes)) for item in _media_items(one)]
    labels = list(_labels(nodes))
    if not items and not labels:
        return None
    return Draft(
        references=[reference for item in items for reference in _references(item)],
        taken_at=_time(entry, items, zone),
        caption=_first_text([entry.get("title"), *(item.get("title") for item in items), entry.get("caption")])
        or _caption_among(labels, caption_label),
        permalink=next((found[0] for _label, value, _inside in labels if (found := _PERMALINK.match(value))), None),
        place=_text(entry.get("location")) or None,
        row="path" in entry,
        tagged=tuple(one for one in labels if extract_tags(one[1]) and not _ADDRESS.match(one[1])),
    )


def _media_items(entry: dict[str, object]) -> Iterator[dict[str, object]]:
    media = entry.get("media")
    if isinstance(media, dict):
        yield media
    elif isinstance(media, list):
        yield from (item for item in media if isinstance(item, dict))
    elif isinstance(mapped := entry.get("media_map_data"), dict):
        yield from (item for item in mapped.values() if isinstance(item, dict))
    elif isinstance(entry.get("uri"), str) or isinstance(entry.get("path"), str):
        yield entry


def _references(item: dict[str, object]) -> Iterator[Reference]:
    metadata = item.get("media_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    hint: MediaKind | None = (
        "video" if "video_metadata" in metadata else "photo" if "photo_metadata" in metadata else None
    )
    uri, backup = (_local(item.get(key)) for key in ("uri", "backup_uri"))
    uri = uri or _local(item.get("path"))
    if uri or backup:
        yield Reference(uri or backup or "", hint, backup)
    # Subtitles, other renderings and dubbed sound stand deeper in the item, and come along.
    waiting = [value for key, value in item.items() if key not in _NOT_ITS_OWN]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if (deeper := _local(value.get("uri"))) and deeper != uri:
                yield Reference(deeper, "other")


def _local(value: object) -> str | None:
    text = _text(value)
    return None if not text or _ADDRESS.match(text) else text


def _time(entry: dict[str, object], items: list[dict[str, object]], zone: tzinfo) -> datetime | None:
    # The post's own time first: those of its media differ by seconds.
    own = [entry.get("creation_timestamp"), entry.get("timestamp")]
    for stamp in [*own, *(item.get("creation_timestamp") for item in items)]:
        if moment := from_timestamp(stamp, zone):
            return moment
    # media.json of 2018 to 2020 writes UTC without saying so.
    if moment := from_text(entry.get("taken_at"), zone, written_in=timezone.utc):
        return moment
    return next((moment for item in items for moment in _exif_times(item, zone)), None)


def _exif_times(item: dict[str, object], zone: tzinfo) -> Iterator[datetime]:
    metadata = item.get("media_metadata")
    for part in metadata.values() if isinstance(metadata, dict) else ():
        tables = part.get("exif_data") if isinstance(part, dict) else None
        for table in tables if isinstance(tables, list) else ():
            if isinstance(table, dict) and (moment := from_text(table.get("date_time_original"), zone)):
                yield moment


def _text(value: object) -> str:
    return repair(value) if isinstance(value, str) else ""


def _first_text(values: list[object]) -> str:
    return next((text for text in map(_text, values) if text.strip()), "")


def _nodes(values: object) -> Iterator[tuple[dict[str, object], bool]]:
    """Flatten ``label_values``; each node with whether it stands in a ``dict``, which mostly describes a person."""
    # Iterative, as nesting is up to whoever wrote the file.
    waiting = [(values, False)]
    while waiting:
        current, inside = waiting.pop()
        for one in reversed(current) if isinstance(current, list) else ():
            if isinstance(one, dict):
                waiting.append((one.get("label_values"), inside))
                waiting.append((one.get("dict"), True))
                yield one, inside


def _labels(nodes: list[tuple[dict[str, object], bool]]) -> Iterator[tuple[str, str, bool]]:
    """Give each node's label and texts, and whether it stands in a ``dict``."""
    for node, inside in nodes:
        for value in dict.fromkeys((_text(node.get("value")), _text(node.get("href")))):
            if value:
                yield _text(node.get("label")), value, inside


def _caption_among(labels: list[tuple[str, str, bool]], known: str | None) -> str:
    """Find the caption by its label, or where that is not known by what it looks like.

    It is then the longest text that is neither an address nor mostly digits nor said of the owner.
    """
    texts = [(label, value, inside) for label, value, inside in labels if not _ADDRESS.fullmatch(value.strip())]
    if known is not None:
        return next((value for label, value, _inside in texts if label == known), "")
    return max((value for _label, value, inside in texts if not (inside or _mostly_digits(value))), key=len, default="")


def _mostly_digits(text: str) -> bool:
    return sum(character.isdigit() for character in text) * 3 >= len("".join(text.split()))
