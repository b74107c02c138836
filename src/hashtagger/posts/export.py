"""Read Instagram's data export: ZIP archives and folders in every layout since 2018, with several parts merged."""

import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import PurePosixPath

from hashtagger.i18n import _
from hashtagger.posts import archive, sniff
from hashtagger.posts.entry import Draft, Reference, read_entry
from hashtagger.posts.jsonstream import entries
from hashtagger.posts.post import Media, MediaKind, Post, Problem
from hashtagger.posts.trees import LISTING, PRIVATE, Tree, modified, month_of
from hashtagger.tagtext import caption_tags

_POSTS, _REELS, _STORIES, _OTHER, _INSIGHTS = "posts", "reels", "stories", "other", "insights"

_KIND_OF_STEM = {
    "posts": _POSTS,
    "reels": _REELS,
    "archived_posts": _POSTS,
    "igtv_videos": _REELS,
    "stories": _STORIES,
    "archived_stories": _STORIES,
    "profile_photos": _OTHER,
    "other_content": _OTHER,
}
"""In order of precedence, for a file that several lists name."""
_KIND_OF_KEY = {"photos": _POSTS, "videos": _POSTS, "stories": _STORIES, "profile": _OTHER}
"""The lists of media.json, the layout of 2018 to 2020."""

_MEDIA_FOLDERS = {
    "media/posts": _POSTS,
    "media/archived_posts": _POSTS,
    "media/reels": _REELS,
    "media/igtv": _REELS,
    "media/stories": _STORIES,
    "media/profile": _OTHER,
    "media/other": _OTHER,
    "photos": _POSTS,
    "videos": _POSTS,
    "stories": _STORIES,
    "profile": _OTHER,
}

_EMPTY = "no-data.txt"
"""The file that Instagram puts into an otherwise empty folder."""


@dataclass(frozen=True, slots=True)
class _Listing:
    tree: Tree
    name: str
    kind: str | None
    """``None`` for media.json, where each list has its own kind."""


class ExportSource:
    """The posts of one export, which may be spread over several archives and folders.

    Every list is read twice. The first pass finds the entries that belong to the same post: they name the same file,
    have the same time where one of them names no file, or are the rows of an old carousel. The second pass merges
    these, which it holds until the end, and streams all others. Files in a month's folder that no list names become
    posts of their own with a guessed time.

    Args:
        trees: The parts, at least one of them with a list of posts.
        zone: The time zone that post times are converted to.
        left_out: Files and archives that are not read, to be reported with the other problems.
        reels: Whether to include reels and IGTV videos.
        stories: Whether to include stories.
        other: Whether to include profile photos and other content.
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        zone: tzinfo,
        *,
        left_out: Sequence[Problem] = (),
        reels: bool = True,
        stories: bool = False,
        other: bool = False,
    ) -> None:
        self.problems = list(left_out)
        self._left_out = list(left_out)
        self._trees = list(trees)
        self._nearest = self._trees
        self._zone = zone
        asked = {_POSTS: True, _INSIGHTS: True, _REELS: reels, _STORIES: stories, _OTHER: other}
        self._wanted = {kind for kind, wanted in asked.items() if wanted}
        self._caption_labels: dict[int | None, str] = {}

    def posts(self) -> Iterator[Post]:
        """Yield every post once: in list order, then merged posts, posts only in insights, and unlisted files."""
        self.problems = list(self._left_out)
        self._nearest = list(self._trees)
        self._caption_labels = {}
        listings = [listing for tree in self._trees for listing in self._listings(tree)]
        insights = [listing for listing in listings if listing.kind == _INSIGHTS]
        listings = sorted((listing for listing in listings if listing.kind != _INSIGHTS), key=_rank)
        seen, shared, ambiguous, newest = self._survey(listings)
        # The newer export comes first, because where two have the same post, the first caption wins.
        listings.sort(key=lambda listing: (-newest.get(id(listing.tree), 0), _rank(listing)))
        captions = self._captions(insights, ambiguous)
        for draft in self._merged(listings, shared - ambiguous):
            if captions and not draft.caption:
                # Keys of files are tried first, being more specific than the key of the time.
                keys = sorted(draft.keys, key=_moment_key(draft).__contains__)
                draft.caption = next((captions[key] for key in keys if key in captions), "")
            yield from self._post(draft)
        yield from self._only_in_insights(insights, seen)
        yield from self._unlisted(seen)

    def _listings(self, tree: Tree) -> Iterator[_Listing]:
        for name in tree.listings():
            path = PurePosixPath(name)
            if path.suffix == ".json":
                match = LISTING.fullmatch(path.name)
                kind = _KIND_OF_STEM[match["stem"]] if match else None
                if "past_instagram_insights" not in path.parts:
                    yield _Listing(tree, name, kind)
                elif kind in self._wanted:
                    yield _Listing(tree, name, _INSIGHTS)

    def _drafts(self, listing: _Listing, *, report: bool = False, wanted: bool = True) -> Iterator[Draft]:
        """Read the entries of a list.

        Args:
            listing: The list.
            report: Whether to record unreadable data as problems; only one pass should.
            wanted: Whether to skip entries of kinds that were not asked for.
        """
        location = listing.tree.location(listing.name)
        label = self._caption_labels.get(id(listing.tree), self._caption_labels.get(None))
        unread = 0
        try:
            with listing.tree.open(listing.name) as stream:
                for key, entry in entries(stream):
                    kind = listing.kind or _KIND_OF_KEY.get(key or "", _POSTS)
                    if (key is not None and key in PRIVATE) or (wanted and kind not in self._wanted):
                        continue
                    draft = read_entry(entry, self._zone, label)
                    if draft is None:
                        unread += 1
                        continue
                    draft.origin = location
                    draft.keys = frozenset(_keys(draft, kind))
                    yield draft
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            if report:
                self._problem(location, _("read only in part: {error}").format(error=error))
        if unread and report:
            self._problem(location, _("{count} entries describe no post").format(count=unread))

    def _survey(self, listings: Sequence[_Listing]) -> tuple[set[int], set[int], set[int], dict[int, float]]:
        """Read all lists once to learn which keys entries share and how captions are labelled.

        Returns:
            All keys; the keys that several entries share; those among them that are ambiguous, being the time of
            two posts with files; and the time of each tree's newest post, by the tree's id.
        """
        seen: set[int] = set()
        shared: set[int] = set()
        ambiguous: set[int] = set()
        bare: set[int] = set()
        # Counted per part, because each is in the language of its day, and overall (None), for parts without a hashtag.
        labels: defaultdict[int | None, Counter[tuple[str, bool]]] = defaultdict(Counter)
        counted: set[int] = set()
        newest: dict[int, float] = {}
        for listing in listings:
            tree = id(listing.tree)
            for draft in self._drafts(listing, wanted=False):
                if draft.taken_at:
                    newest[tree] = max(draft.taken_at.timestamp(), newest.get(tree, 0))
                moment = _moment_key(draft)
                if not draft.references:
                    bare |= moment - seen
                elif seen.isdisjoint(draft.keys - moment):
                    ambiguous |= (moment & seen) - bare
                    bare -= moment
                shared |= draft.keys & seen
                seen |= draft.keys
                # Each text counts once: an owner's name may have a hashtag too, but is the same in every post.
                for part in (tree, None) if draft.tagged else ():
                    fresh = [one for one in draft.tagged if hash((part, one[1])) not in counted]
                    counted.update(hash((part, text)) for _label, text, _inside in fresh)
                    labels[part].update((label, inside) for label, _text, inside in fresh)
        for part, counts in labels.items():
            # A single text in a dict may be that name.
            likely = {one: count for one, count in counts.items() if count > 1 or not one[1]}
            if likely:
                label, _inside = max(likely, key=lambda one: (likely[one], not one[1]))
                self._caption_labels[part] = label
        return seen, shared, ambiguous, newest

    def _merged(self, listings: Sequence[_Listing], shared: set[int]) -> Iterator[Draft]:
        held: dict[int, Draft] = {}
        holder: dict[int, int] = {}
        drafts = (draft for listing in listings for draft in self._drafts(listing, report=True))
        for number, draft in enumerate(drafts):
            keys = draft.keys & shared
            if not keys:
                yield draft
                continue
            same = {holder[key] for key in keys & holder.keys() if not held[holder[key]].contradicts(draft)}
            held[number] = draft
            # The earliest entry absorbs the others, including those linked to it only by this draft.
            first, *others = *sorted(same), number
            for other in others:
                held[first].absorb(held.pop(other))
            holder.update(dict.fromkeys(held[first].keys & shared, first))
        yield from held.values()

    def _captions(self, insights: Sequence[_Listing], ambiguous: set[int]) -> dict[int, str]:
        """Collect the captions that insights repeat, by key, for entries without a caption.

        An insight may name its own thumbnail or a URL instead of the post's file, so that only the time links the two.
        """
        captions: dict[int, str] = {}
        for listing in insights:
            for draft in self._drafts(listing, report=True):
                if draft.caption:
                    captions.update(dict.fromkeys(draft.keys - ambiguous, draft.caption))
        return captions

    def _only_in_insights(self, insights: Sequence[_Listing], seen: set[int]) -> Iterator[Post]:
        for listing in insights:
            for draft in self._drafts(listing):
                known = not seen.isdisjoint(draft.keys)
                # The key of the time is left out, because other posts may be from the same second.
                seen |= draft.keys - _moment_key(draft)
                if draft.references and not known:
                    yield from self._post(draft)

    def _unlisted(self, seen: set[int]) -> Iterator[Post]:
        folders = [folder for folder, kind in _MEDIA_FOLDERS.items() if kind in self._wanted]
        for tree in self._trees:
            for name in tree.files(folders):
                key = hash(unicodedata.normalize("NFC", name))
                if key not in seen and PurePosixPath(name).name != _EMPTY:
                    seen.add(key)
                    yield from self._unlisted_file(tree, name)

    def _unlisted_file(self, tree: Tree, name: str) -> Iterator[Post]:
        media = self._find(tree, name, None)
        if media is None:
            return
        moment = month_of(name, self._zone)
        if media.kind == "other" or moment is None:
            self._problem(media.location, _("no post names it; left where it is"))
            return
        self._problem(media.location, _("no post names it; its date is guessed from its folder"))
        yield Post(moment, (media,), time_is_guess=True)

    def _post(self, draft: Draft) -> Iterator[Post]:
        media = tuple(found for one in draft.references for found in self._media(one, draft))
        moment, guess = draft.taken_at, False
        if moment is None:
            guesses = [month_of(one.uri, self._zone) for one in draft.references]
            guesses += [modified(one, self._zone) for one in media]
            moment, guess = next(filter(None, guesses), None), True
        if not draft.references:
            self._problem(draft.permalink or draft.origin, _("the export holds no file of this post"))
        if moment is None:
            names_of_files = ", ".join(one.uri for one in draft.references)
            self._problem(draft.origin, _("a post without a time was left out: {files}").format(files=names_of_files))
            return
        if not media and not draft.caption:
            return
        yield Post(moment, media, draft.caption, caption_tags(draft.caption), draft.permalink, guess, draft.place)

    def _media(self, reference: Reference, draft: Draft) -> Iterator[Media]:
        """Yield the file of a reference, and its backup if that is a different file."""
        found = False
        for uri in dict.fromkeys((reference.uri, reference.backup or reference.uri)):
            name = archive.safe_name(uri)
            if name is None or not PRIVATE.isdisjoint(name.split("/")):
                self._problem(draft.origin, _("names a file outside of the export: {file}").format(file=uri))
                return
            if media := self._find_in_parts(name, reference.hint):
                yield replace(media, kind="other") if found or reference.hint == "other" else media
                found = True
        if not found and (reference.hint != "other" or sniff.of_name(reference.uri) != "other"):
            missing = _("named in {file} but not in the export; if that came in several ZIP archives, give them all")
            self._problem(reference.uri, missing.format(file=draft.origin))

    def _find_in_parts(self, name: str, hint: MediaKind | None) -> Media | None:
        for tree in self._nearest:
            if found := self._find(tree, name, hint):
                # The next file is most likely in the same part.
                if tree is not self._nearest[0]:
                    self._nearest = [tree, *(other for other in self._trees if other is not tree)]
                return found
        return None

    def _find(self, tree: Tree, name: str, hint: MediaKind | None) -> Media | None:
        try:
            return tree.find(name, hint)
        except (OSError, zipfile.BadZipFile) as error:
            self._problem(tree.location(name), str(error))
            return None

    def _problem(self, location: str, cause: str) -> None:
        self.problems.append(Problem(location, cause))


def _keys(draft: Draft, kind: str) -> Iterator[int]:
    """Yield the keys that entries of the same post share, hashed so that those of a million entries fit in memory."""
    for reference in draft.references:
        for uri in filter(None, (reference.uri, reference.backup)):
            yield hash(unicodedata.normalize("NFC", archive.safe_name(uri) or uri))
    if draft.row and draft.taken_at is not None and kind == _POSTS:
        yield hash(("carousel", draft.taken_at, draft.caption))
    if draft.permalink is not None:
        yield hash((draft.permalink, draft.taken_at))
    yield from _moment_key(draft)


def _moment_key(draft: Draft) -> frozenset[int]:
    """Return the key of the time, which links an entry without files to its post if no other has the same time."""
    return frozenset() if draft.taken_at is None else frozenset({hash(("moment", draft.taken_at))})


def _rank(listing: _Listing) -> int:
    match = LISTING.fullmatch(PurePosixPath(listing.name).name)
    return list(_KIND_OF_STEM).index(match["stem"]) if match else 0
