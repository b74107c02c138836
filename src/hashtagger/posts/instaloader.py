"""Read folders that instaloader filled: profiles, hashtags, places, feeds, with its own or custom file names."""

import json
import lzma
import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from itertools import chain
from pathlib import Path
from typing import Any

from hashtagger.errors import damage_of
from hashtagger.i18n import _
from hashtagger.posts import sniff
from hashtagger.posts.dates import from_name, from_timestamp
from hashtagger.posts.hashtable import HashTable
from hashtagger.posts.mojibake import without_half_surrogates
from hashtagger.posts.photos import media_file, posts_of_photos, read_text, walk
from hashtagger.posts.post import Media, Post, Problem
from hashtagger.tagtext import caption_tags

_SIDECAR = re.compile(r"(?P<base>.+?)(?<!_comments)\.json(?:\.xz)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_UTC")
_DATED = re.compile(r"(?P<base>.*\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_UTC)(?:_\d+)?(?:_old_\d+|_location|_comments)?")
_NUMBERED = re.compile(r"(?P<base>.+)_(?P<number>[1-9]\d?)")
_EXTRA = re.compile(r"(?P<base>.+)_(?P<what>old_\d+|location|comments)")
_NO_POST = re.compile(r"(?:.+_)?id|iterator_.+\.json(\.xz)?|.+\.temp|.+_profile_pic\.\w+|.+_cover\.jpg|resume_info_.+")
_SHORTCODE = re.compile(r"[\w-]{1,40}", re.ASCII)

_LARGEST_SIDECAR = 64 << 20
"""Largest sidecar in bytes of JSON; one with thousands of comments takes a few megabytes."""


@dataclass
class _Group:
    """The files of one post in one folder."""

    sidecar: str | None = None
    media: list[tuple[int, str]] = field(default_factory=list)
    caption: str | None = None
    place: str | None = None


@dataclass
class _Facts:
    """What a sidecar says; ``videos`` tells for each item, in order, whether it is a video."""

    taken_at: datetime | None = None
    shortcode: str | None = None
    caption: str | None = None
    place: str | None = None
    videos: tuple[bool, ...] = ()


def is_instaloader_folder(root: Path) -> bool:
    """Return whether a folder tree contains instaloader downloads."""
    return root.is_dir() and any(_is_filled(folder, names) for folder, names in walk(root, []))


def _is_filled(folder: Path, names: list[str]) -> bool:
    if any(name.endswith(".json.xz") or _DATED.match(name) for name in names):
        return True
    plain = [name for name in names if name.endswith(".json")][:3]
    return any(_node_type(_structure(folder / name, [])) for name in plain)


class InstaloaderSource:
    """The posts that instaloader saved in a folder tree, each once even if several targets contain it.

    Sidecars take precedence over file names and caption files. Files in these folders that are not from instaloader
    are read like plain photos.

    Args:
        root: The folder.
        zone: The time zone that post times are converted to.
        stories: Whether to include stories.
    """

    def __init__(self, root: Path, zone: tzinfo, *, stories: bool = False) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._zone = zone
        self._kinds = {None, "Post"} | ({"StoryItem"} if stories else set())

    def posts(self) -> Iterator[Post]:
        """Yield every post once, folder by folder; posts with only a caption come last."""
        self.problems = []
        seen, written = HashTable(), array("q")
        without_files: list[tuple[Post, Path]] = []
        for folder, names in walk(self._root, self.problems):
            rest: list[str] = []
            for post, base in self._posts_of(folder, names, rest) if _is_filled(folder, names) else ():
                identity, *others = _identities(post)
                if not post.media:
                    without_files.append((post, folder / base))
                elif seen[identity] >= len(post.media):
                    self._problem(folder / base, _("the same post is in another folder too; used once"))
                else:
                    seen[identity] = min(len(post.media), 0xFFFF)
                    written.extend(others)
                    yield post
            yield from posts_of_photos(folder, rest + names, self._zone, self.problems)
        wanted = {identity for post, _path in without_files for identity in _identities(post)}
        known = {identity for identity in wanted if seen[identity]} | wanted.intersection(written)
        for post, path in without_files:
            identities = _identities(post)
            if known.isdisjoint(identities):
                known.update(identities)
                self._problem(path, _("its photos and videos are missing"))
                if post.caption:
                    yield post

    def _posts_of(self, folder: Path, names: list[str], rest: list[str]) -> Iterator[tuple[Post, str]]:
        """Yield the posts of a folder, each with the stem of its files.

        ``names`` is emptied along the way to free memory; the files that belong to no instaloader post are added to
        ``rest``.
        """
        for batch in _batches(names):
            groups, left = _pair(batch)
            loose: defaultdict[str, list[str]] = defaultdict(list)
            for base, group in groups.items():
                structure = _structure(folder / group.sidecar, self.problems) if group.sidecar else None
                kind = _node_type(structure)
                if structure and (items := _named_by_address(structure, base)):
                    if left:
                        for name in left:
                            loose[sniff.stem(name)].append(name)
                        left = []
                    group.media += [(number, name) for stem, number in items.items() for name in loose.pop(stem, ())]
                if kind not in self._kinds:
                    # The sidecar of a profile or hashtag, or other JSON: files that share its name are plain photos.
                    others = [group.caption, group.place, group.sidecar if kind == "" else None]
                    plain = [name for __, name in group.media] + [name for name in others if name]
                    rest += [] if kind == "StoryItem" else plain
                elif post := self._post(folder, base, group, _facts(structure, self._zone) if structure else _Facts()):
                    yield post, base
            rest += chain(left, *loose.values())

    def _post(self, folder: Path, base: str, group: _Group, facts: _Facts) -> Post | None:
        media = self._media(folder, group, facts)
        caption = facts.caption if facts.caption is not None else self._text(folder, group.caption)
        if not media and not facts.taken_at and not _DATED.fullmatch(base):
            return None
        moment, guess = facts.taken_at or from_name(base, self._zone), False
        if moment is None and media:
            # Neither the sidecar nor the name has a time, so fall back to the photo's own.
            name = media[0].path.name if media[0].path else ""
            alone = next(posts_of_photos(folder, [name], self._zone, []), None)
            moment, guess = (alone.taken_at, alone.time_is_guess) if alone else (None, False)
        if moment is None:
            return None
        place = facts.place or self._text(folder, group.place).split("\n", 1)[0].strip() or None
        permalink = f"https://www.instagram.com/p/{facts.shortcode}/" if facts.shortcode else None
        return Post(moment, media, caption, caption_tags(caption), permalink, guess, place)

    def _media(self, folder: Path, group: _Group, facts: _Facts) -> tuple[Media, ...]:
        found = [
            (number, one)
            for number, name in sorted(group.media)
            if (one := media_file(folder / name, self.problems)) is not None
        ]
        films = {number for number, one in found if one.kind == "video"}
        items: list[Media] = []
        for number, one in sorted(found, key=lambda item: (item[0], item[1].kind != "video")):
            # instaloader saves a thumbnail with each video, which is not a photo of the post.
            items.append(replace(one, kind="other") if number in films and one.kind == "photo" else one)
        if found:
            numbers = {number for number, __ in found}
            if len(facts.videos) > len(numbers):
                self._problem(
                    folder / found[0][1].name,
                    _("only {there} of {all} photos and videos of its post are there").format(
                        there=len(numbers), all=len(facts.videos)
                    ),
                )
            elif sum(facts.videos) > len(films):
                self._problem(folder / found[0][1].name, _("a video of its post is missing; its picture is there"))
        return tuple(items)

    def _text(self, folder: Path, name: str | None) -> str:
        return read_text(folder / name, self.problems) if name else ""

    def _problem(self, path: Path, cause: str) -> None:
        self.problems.append(Problem(str(path), cause))


def _batches(names: list[str]) -> Iterator[list[str]]:
    """Empty a sorted list of names in batches: one per timestamp they begin with, then one of all other names."""
    names.reverse()
    others: list[str] = []
    while names:
        batch = [names.pop()]
        moment = _MOMENT.match(batch[0])
        while moment and names and names[-1].startswith(moment[0]):
            batch.append(names.pop())
        if moment:
            yield batch
        else:
            others += batch
    yield others


def _pair(names: list[str]) -> tuple[dict[str, _Group], list[str]]:
    """Group file names into posts by their common stem; also return the names that belong to no instaloader post."""
    names = [name for name in names if not _NO_POST.fullmatch(name)]
    sidecars = {match["base"]: name for name in names if (match := _SIDECAR.fullmatch(name))}
    groups = {base: _Group(name) for base, name in sidecars.items()}
    texts = {sniff.stem(name) for name in names if name.endswith(".txt")}
    stems = {sniff.stem(name) for name in names if not name.endswith(".txt")}
    # Custom names without a sidecar: a caption file next to a photo, or next to the items of a carousel.
    captioned = texts & (stems | {match["base"] for stem in stems if (match := _NUMBERED.fullmatch(stem))})
    rest: list[str] = []
    used = set(sidecars.values())
    for name in names:
        if name in used:
            continue
        stem, text = sniff.stem(name), name.endswith(".txt")
        base, number, what = _place_in_post(stem, groups)
        if base is None:
            base, number, what = _place_in_post(stem, captioned)
        if base is None:
            rest.append(name)
            continue
        group = groups.setdefault(base, _Group())
        if what == "location" and text:
            group.place = name
        elif what is None and text:
            group.caption = name
        elif what is None:
            group.media.append((number, name))
        elif not text and not name.endswith(".json"):
            rest.append(name)
    return groups, rest


def _place_in_post(stem: str, groups: Container[str]) -> tuple[str | None, int, str | None]:
    """Return the base name of a stem's post, its item number, and what it is if not an item."""
    if stem in groups:
        return stem, 0, None
    if (match := _EXTRA.fullmatch(stem)) and (match["base"] in groups or _DATED.fullmatch(match["base"])):
        return match["base"], 0, match["what"]
    if (match := _NUMBERED.fullmatch(stem)) and (match["base"] in groups or _DATED.fullmatch(match["base"])):
        return match["base"], int(match["number"]), None
    return (stem if _DATED.fullmatch(stem) else None), 0, None


def _named_by_address(structure: dict[str, Any], base: str) -> dict[str, int]:
    """Return the numbers of a carousel's items by the stems of their files if ``{filename}`` is in the name pattern.

    instaloader then names each file after its own address, and the others of the post after that of its first picture.
    """
    node = structure.get("node")
    own = _stem_of_address(_inside(node, "display_url"))
    edges = _inside(node, "edge_sidecar_to_children", "edges")
    if not own or own not in base or not isinstance(edges, list):
        return {}
    phone = _inside(node, "iphone_struct", "carousel_media")
    stems: dict[str, int] = {}
    for index, edge in enumerate(edges):
        # Those who are logged in get the app's picture, which has another address.
        picture = _item(_inside(_item(phone, index), "image_versions2", "candidates"), 0)
        addresses = _inside(edge, "node", "display_url"), _inside(edge, "node", "video_url"), _inside(picture, "url")
        stems |= {base.replace(own, stem): index + 1 for stem in map(_stem_of_address, addresses) if stem}
    return stems


def _item(items: Any, index: int) -> Any:
    return items[index] if isinstance(items, list) and len(items) > index else None


def _stem_of_address(address: Any) -> str:
    return sniff.stem(address.split("?")[0].rsplit("/", 1)[-1]) if isinstance(address, str) else ""


def _identities(post: Post) -> list[int]:
    """Return hashes that identify a post: of its permalink, where known, and of its time and caption."""
    written = hash((post.taken_at, unicodedata.normalize("NFC", post.caption).strip()))
    if post.permalink:
        return [hash(post.permalink), written]
    # Two photos from the same second without a caption may be different posts, so their paths identify them.
    return [written if post.caption or not post.media else hash(tuple(one.location for one in post.media))]


def _structure(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
            data = stream.read(_LARGEST_SIDECAR + 1)
        if len(data) > _LARGEST_SIDECAR:
            raise ValueError(_("too large for a sidecar"))
        structure = json.loads(data)
    except (OSError, lzma.LZMAError, EOFError, ValueError, RecursionError) as error:
        problems.append(Problem(str(path), damage_of(error)))
        return None
    return structure if isinstance(structure, dict) else {}


def _node_type(structure: dict[str, Any] | None) -> str | None:
    """Return what a sidecar describes, ``""`` for other JSON; instaloader 3 wrote just the node of a post."""
    if structure is None:
        return None
    about = structure.get("instaloader")
    kind = about.get("node_type") if isinstance(about, dict) else None
    if isinstance(kind, str) and isinstance(structure.get("node"), dict):
        return kind
    return "Post" if isinstance(structure.get("shortcode"), str) else ""


def _facts(structure: dict[str, Any], zone: tzinfo) -> _Facts:
    node = structure["node"] if isinstance(structure.get("node"), dict) else structure
    facts = _Facts(
        from_timestamp(_first(node, "taken_at_timestamp", "date", "taken_at"), zone),
        _first(node, "shortcode", "code"),
        _caption_of_node(node),
        _inside(node, "location", "name") or _inside(node, "iphone_struct", "location", "name"),
        tuple(_videos(node)),
    )
    if _node_type(structure) == "Post" and "node" in structure:
        _ask_instaloader(structure, facts, zone)
    facts.caption = without_half_surrogates(facts.caption) if isinstance(facts.caption, str) else None
    facts.place = without_half_surrogates(facts.place) if isinstance(facts.place, str) else None
    if not (isinstance(facts.shortcode, str) and _SHORTCODE.fullmatch(facts.shortcode)):
        facts.shortcode = None
    return facts


def _ask_instaloader(structure: dict[str, Any], facts: _Facts, zone: tzinfo) -> None:
    """Let instaloader read its own file; if it cannot, the values from the raw node are kept."""
    import instaloader

    # Without a context, instaloader cannot query Instagram for what the file lacks.
    offline: Any = None
    unreadable = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)
    with suppress(instaloader.InstaloaderException, *unreadable):
        post: Any = instaloader.load_structure(offline, structure)
        facts.shortcode = post.shortcode
        facts.caption = post.caption or facts.caption
        facts.taken_at = from_timestamp(post.date_local.timestamp(), zone) or facts.taken_at


def _first(node: dict[str, Any], *keys: str) -> Any:
    return next((node[key] for key in keys if node.get(key) is not None), None)


def _inside(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _caption_of_node(node: dict[str, Any]) -> str | None:
    edges = _inside(node, "edge_media_to_caption", "edges")
    if isinstance(edges, list):
        text = _inside(edges[0], "node", "text") if edges else ""
    else:
        nodes = [one for one in (node, node.get("iphone_struct")) if isinstance(one, dict) and "caption" in one]
        # A caption that is present but null means that the post has none.
        text = next((one["caption"] for one in nodes if one["caption"]), "" if nodes else None)
    text = text.get("text") if isinstance(text, dict) else text
    return text if isinstance(text, str) else None


def _videos(node: dict[str, Any]) -> Iterator[bool]:
    edges = _inside(node, "edge_sidecar_to_children", "edges")
    if isinstance(edges, list) and edges:
        yield from (_inside(edge, "node", "is_video") is True for edge in edges)
    else:
        yield node.get("is_video") is True
