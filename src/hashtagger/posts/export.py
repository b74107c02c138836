"""Instagram's own data export: ZIP archives and folders of every layout since 2018, several parts merged."""

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
"""In the order in which they are believed where several name one file."""
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
"""Instagram's mark of a folder for which there is nothing."""


@dataclass(frozen=True, slots=True)
class _Listing:
    tree: Tree
    name: str
    kind: str | None
    """``None`` for media.json, whose lists each have their own."""


class ExportSource:
    """The posts of one export, which may lie in several archives and folders.

    Every list is read twice: first to learn which entries are of one post (the same file named by several lists,
    parts or insights; the same moment where one names no file; the rows of an old carousel), then to yield. Only those
    are held until all are together; everything else streams. Files of a month's folder that no list names become posts
    of their own with a guessed time.

    Args:
        trees: The parts, at least one with a list of posts.
        zone: The zone that times are given in.
        left_out: What of the place is not read, to be reported with the other problems.
        reels: Whether reels and IGTV videos count as posts.
        stories: Whether stories do.
        other: Whether profile photos and other content do.
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
        """Yield every post once; those of each list in its order, merged ones and unlisted files last."""
        self.problems = list(self._left_out)
        self._nearest = list(self._trees)
        self._caption_labels = {}
        listings = [listing for tree in self._trees for listing in self._listings(tree)]
        insights = [listing for listing in listings if listing.kind == _INSIGHTS]
        listings = sorted((listing for listing in listings if listing.kind != _INSIGHTS), key=_rank)
        seen, shared, crowded, newest = self._survey(listings)
        # Of a post in two years' exports the later has the words that count.
        listings.sort(key=lambda listing: (_rank(listing), -newest.get(id(listing.tree), 0)))
        captions = self._captions(insights, crowded)
        for draft in self._merged(listings, shared - crowded):
            if captions and not draft.caption:
                # Its files tell more than its moment.
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
        """Read a list.

        Args:
            listing: Which.
            report: Whether what cannot be read becomes a problem; once is enough.
            wanted: Whether entries of kinds that were not asked for are left out.
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
        """Read all lists once to learn what tells one post from another, and how captions are labelled.

        Returns:
            All keys; the keys that more than one entry has; of these the moments that tie nothing together, because
            two posts with files share them; and the time of the newest post of each tree, by the tree's id.
        """
        seen: set[int] = set()
        shared: set[int] = set()
        crowded: set[int] = set()
        bare: set[int] = set()
        # By part, as each is in the language of its day, and those of all, for parts that tell nothing.
        labels: defaultdict[int | None, Counter[tuple[str, bool]]] = defaultdict(Counter)
        met: set[int] = set()
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
                    crowded |= (moment & seen) - bare
                    bare -= moment
                shared |= draft.keys & seen
                seen |= draft.keys
                # An owner's name may have a hashtag too, but it is the same in every post.
                fresh = [(label, inside) for label, text, inside in draft.tagged if hash((tree, text)) not in met]
                met.update(hash((tree, text)) for _label, text, _inside in draft.tagged)
                for part in (tree, None) if fresh else ():
                    labels[part].update(fresh)
        for part, counts in labels.items():
            likely, _count = max(counts.items(), key=lambda one: (one[1], not one[0][1]))
            self._caption_labels[part] = likely[0]
        return seen, shared, crowded, newest

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
            # The entry that came first takes the others in, even those that only this one ties to it.
            first, *others = *sorted(same), number
            for other in others:
                held[first].absorb(held.pop(other))
            holder.update(dict.fromkeys(held[first].keys & shared, first))
        yield from held.values()

    def _captions(self, insights: Sequence[_Listing], crowded: set[int]) -> dict[int, str]:
        """Learn the captions that insights repeat, for entries that lack theirs.

        An insight may show its post by a file of its own or a web address, so that only the moment ties it to its post.
        """
        captions: dict[int, str] = {}
        for listing in insights:
            for draft in self._drafts(listing, report=True):
                if draft.caption:
                    captions.update(dict.fromkeys(draft.keys - crowded, draft.caption))
        return captions

    def _only_in_insights(self, insights: Sequence[_Listing], seen: set[int]) -> Iterator[Post]:
        for listing in insights:
            for draft in self._drafts(listing):
                known = not seen.isdisjoint(draft.keys)
                # Its thumbnail is of the post that it tells of, but others may be of the same second.
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
        """Find the file of a reference, and its backup where that is another."""
        found = False
        for uri in dict.fromkeys((reference.uri, reference.backup or reference.uri)):
            name = archive.safe_name(uri)
            if name is None or not PRIVATE.isdisjoint(name.split("/")):
                self._problem(draft.origin, _("names a file outside of the export: {file}").format(file=uri))
                return
            if media := self._anywhere(name, reference.hint):
                yield replace(media, kind="other") if found or reference.hint == "other" else media
                found = True
        if not found and (reference.hint != "other" or sniff.of_name(reference.uri) != "other"):
            missing = _("named in {file} but not in the export; if that came in several ZIP archives, give them all")
            self._problem(reference.uri, missing.format(file=draft.origin))

    def _anywhere(self, name: str, hint: MediaKind | None) -> Media | None:
        for tree in self._nearest:
            if found := self._find(tree, name, hint):
                # The next file most likely lies in the same part.
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
    """Give what two entries of one post have in common, as hashes, so that those of a million entries fit."""
    for reference in draft.references:
        for uri in filter(None, (reference.uri, reference.backup)):
            yield hash(unicodedata.normalize("NFC", archive.safe_name(uri) or uri))
    if draft.row and draft.taken_at is not None and kind == _POSTS:
        yield hash(("carousel", draft.taken_at, draft.caption))
    if draft.permalink is not None:
        yield hash((draft.permalink, draft.taken_at))
    yield from _moment_key(draft)


def _moment_key(draft: Draft) -> frozenset[int]:
    """Give what ties an entry that names no file to its post; of use only where a single post has that moment."""
    return frozenset() if draft.taken_at is None else frozenset({hash(("moment", draft.taken_at))})


def _rank(listing: _Listing) -> int:
    match = LISTING.fullmatch(PurePosixPath(listing.name).name)
    return list(_KIND_OF_STEM).index(match["stem"]) if match else 0
