"""Parse an entry of Instagram's export, in any layout, into a draft of a post whose files are not looked up yet."""

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
_OTHER_ITEMS = frozenset({"media", "label_values", "media_map_data"})
"""Keys under which an entry that is itself a media item holds what belongs to other items."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that an entry names: its path from the export's root, its kind if given, and the path of a backup copy."""

    uri: str
    hint: MediaKind | None = None
    backup: str | None = None


@dataclass(slots=True)
class Draft:
    """What an entry says about a post.

    Attributes:
        references: The post's files, in order; URLs are left out.
        taken_at: The post's time, where given.
        caption: The post's text, with its encoding repaired.
        permalink: The post's URL, where given.
        place: The name of the post's location, where given.
        row: Whether the entry is a row of media.json, where each file of a carousel has its own entry.
        origin: The file that contains the entry, for messages.
        keys: Hashes; entries that share one describe the same post, unless they contradict each other.
        tagged: Labelled texts with a hashtag, as `_labels` yields them, to find out which label marks captions.
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
        """Merge another entry of the same post into this one; fields that are already set are kept."""
        known = {reference.uri for reference in self.references}
        self.references += [reference for reference in other.references if reference.uri not in known]
        self.keys |= other.keys
        self.caption = self.caption or other.caption
        self.taken_at = self.taken_at or other.taken_at
        self.permalink = self.permalink or other.permalink
        self.place = self.place or other.place

    def contradicts(self, other: "Draft") -> bool:
        """Return whether two entries describe different posts although they share a key.

        If they share a file, the posts are different when both captions and times differ. If they share only the
        time, the posts are different when the captions or the permalinks differ.
        """
        if self.taken_at is None or other.taken_at is None:
            return False
        texts = {unicodedata.normalize("NFC", draft.caption).strip() for draft in (self, other) if draft.caption}
        # If the times are equal and a single key is shared, it is the key of the time.
        if self.taken_at == other.taken_at and len(self.keys & other.keys) == 1:
            return len(texts) > 1 or len({self.permalink, other.permalink} - {None}) > 1
        return len(texts) > 1 and abs((self.taken_at - other.taken_at).total_seconds()) > 60


def read_entry(entry: object, zone: tzinfo, caption_label: str | None = None) -> Draft | None:
    """Parse an entry of any layout, judging by its content and not by the file it is in.

    Args:
        entry: A parsed JSON value.
        zone: The time zone of the draft's time.
        caption_label: The label of captions in this part of the export, where known; it is in the language of the
            owner's app at the time.

    Returns:
        The draft, or ``None`` if the entry does not describe a post.
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
    # Subtitles, other renditions and dubbed audio are nested deeper in the item.
    waiting = [value for key, value in item.items() if key not in _OTHER_ITEMS]
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
    # The post's own time takes precedence; those of its media differ by seconds.
    own = [entry.get("creation_timestamp"), entry.get("timestamp")]
    for stamp in [*own, *(item.get("creation_timestamp") for item in items)]:
        if moment := from_timestamp(stamp, zone):
            return moment
    # media.json (2018 to 2020) writes UTC without an offset.
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
    """Flatten ``label_values``, yielding each node and whether it is in a ``dict``, which mostly describes a person."""
    # Iterative, because the file may be nested arbitrarily deep.
    waiting = [(values, False)]
    while waiting:
        current, inside = waiting.pop()
        for one in reversed(current) if isinstance(current, list) else ():
            if isinstance(one, dict):
                waiting.append((one.get("label_values"), inside))
                waiting.append((one.get("dict"), True))
                yield one, inside


def _labels(nodes: list[tuple[dict[str, object], bool]]) -> Iterator[tuple[str, str, bool]]:
    """Yield each text of the nodes with its label and whether its node is in a ``dict``."""
    for node, inside in nodes:
        for value in dict.fromkeys((_text(node.get("value")), _text(node.get("href")))):
            if value.strip():
                yield _text(node.get("label")), value, inside


def _caption_among(labels: list[tuple[str, str, bool]], known: str | None) -> str:
    """Find the caption by its label or, if the label is unknown, by its content.

    By content, it is the longest text that is not a URL, not mostly digits and not in a ``dict``.
    """
    texts = [(label, value, inside) for label, value, inside in labels if not _ADDRESS.fullmatch(value.strip())]
    if known is not None:
        return next((value for label, value, _inside in texts if label == known), "")
    return max((value for _label, value, inside in texts if not (inside or _mostly_digits(value))), key=len, default="")


def _mostly_digits(text: str) -> bool:
    return sum(character.isdigit() for character in text) * 3 >= len("".join(text.split()))
