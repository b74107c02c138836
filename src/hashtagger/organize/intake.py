"""First pass: turn the posts that a source yields into rows of the journal."""

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import tzinfo
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.errors import cause_of
from hashtagger.i18n import _
from hashtagger.normalize import Normalizer, default_normalizer
from hashtagger.organize import names
from hashtagger.organize.journal import Sidecar, State
from hashtagger.organize.layout import Layout
from hashtagger.posts.mojibake import escaped
from hashtagger.posts.post import Media, Post, Problem, Source

if TYPE_CHECKING:
    from hashtagger.history import History

_TAGS_KEPT = 65536
_File = tuple[str, str, bytes, str, int | None, int, int | None, str]  # the columns of a file row, except its post


class Intake:
    """Writes posts into a draft of the journal; files that it already has are left as they are.

    Attributes:
        problems: Files that turned out to be missing, and archives whose files are copied whatever the requested mode.
        settled: Number of files that an earlier run put into the tree in a mode other than the one requested now.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        layout: Layout,
        zone: tzinfo,
        how: str,
        normalizer: Normalizer | None = None,
        history: "History | None" = None,
    ) -> None:
        self.problems: list[Problem] = []
        self.settled = 0
        self._archives: dict[Path, tuple[bytes, int]] = {}
        self._db, self._layout, self._zone, self._how = db, layout, zone, how
        self._normalizer, self._history = normalizer or default_normalizer(), history
        self._folders: dict[str, int] = {}  # folder path -> row id
        self._tags: dict[str, int | None] = {}  # tag as typed -> row id, None if nothing is left of it
        self._completed: set[int] = set()  # known posts without files whose files were found now
        self._known = self._post = db.execute("SELECT COALESCE(MAX(id), 0) FROM post").fetchone()[0]

    def take(self, source: Source) -> Iterator[Post]:
        """Write every post of a source to the journal, yielding each one as it is done."""
        posts, files, tags = [], [], []
        for post in source.posts():
            rows = list(self._files(post))
            number = None
            said = _digest(post)
            if self._known:
                number, rows = self._find(post, rows, said)
            if number is not None:
                self._reword(number, post, said)
            else:
                self._post += 1
                number = self._post
                taken_at = post.taken_at.astimezone(self._zone)
                month = self._folder(self._layout.month(taken_at))
                guess = post.time_is_guess
                words = (post.caption, post.permalink, post.place)
                posts.append((number, taken_at.isoformat(), month, *words, guess, said))
                tags += [(number, position, tag) for position, tag in enumerate(self._tag_ids(post.tags))]
            files += [(number, *row) for row in rows]
            if len(posts) >= 1000 or len(files) >= 1000:
                self._write(posts, files, tags)
                posts, files, tags = [], [], []
            yield post
        self._write(posts, files, tags)
        if self._how != "copy":
            cause = _("files in an archive are always copied; mode {mode} does not apply").format(mode=self._how)
            self.problems += [Problem(str(archive), cause) for archive in sorted(self._archives)]

    def _folder(self, path: str) -> int:
        """Return the row id of a folder of the tree, adding it if needed."""
        if path not in self._folders:
            self._folders[path] = folder_id(self._db, path)
        return self._folders[path]

    def _archive(self, path: Path) -> tuple[bytes, int]:
        """Return an archive's absolute path and modification time (0 if missing: reading it will report that)."""
        if path not in self._archives:
            mtime = 0
            with suppress(OSError):
                mtime = path.stat().st_mtime_ns
            self._archives[path] = os.fsencode(path.absolute()), mtime
        return self._archives[path]

    def _files(self, post: Post) -> Iterator[_File]:
        for media in post.media:
            name = names.safe_name(media.name)
            size = media.size
            if media.path is not None:
                try:
                    found = media.path.stat()
                except OSError as error:
                    self.problems.append(Problem(media.location, cause_of(error)))
                    continue
                path, size, mtime = os.fsencode(media.path.absolute()), found.st_size, found.st_mtime_ns
                permissions, how = stat.S_IMODE(found.st_mode), self._how
            else:
                assert media.archive is not None
                (path, mtime), permissions, how = self._archive(media.archive), None, "copy"
            yield name, media.kind, path, media.member or "", size, mtime, permissions, how

    def _find(self, post: Post, files: list[_File], said: str) -> tuple[int | None, list[_File]]:
        """Return the id of the known post that this is, if any, and those of its files that are new.

        A post is identified by its files. One without files is identified by its time and its current or previous
        words, or by its time alone if only one known post has it. If none of its files is known, it can still be a
        known post without files, identified by time, caption and permalink.
        """
        taken_at = post.taken_at.astimezone(self._zone).isoformat()
        if not files:
            row = self._db.execute(
                """SELECT id FROM post WHERE taken_at = ?1 AND id <= ?4 AND (caption = ?2 OR said = ?3 OR
                     (SELECT COUNT(*) FROM post WHERE taken_at = ?1 AND id <= ?4 AND same_as IS NULL) = 1)
                   ORDER BY said IS ?3 DESC, caption = ?2 DESC, id""",
                (taken_at, post.caption, said, self._known),
            ).fetchone()
            return (row[0] if row else None), []
        same = f"""SELECT post, how != ? AND EXISTS (SELECT 1 FROM place p
                    WHERE p.file = COALESCE(file.same_as, file.id) AND p.state != {State.PLANNED}), said IS ?
                  FROM file JOIN post ON post.id = file.post
                  WHERE path = CAST(? AS TEXT) AND member = ? AND size IS ? AND mtime = ?
                  ORDER BY said IS ? DESC, post.id"""
        found = [self._db.execute(same, (file[-1], said, *file[2:6], said)).fetchone() for file in files]
        self.settled += sum(row[1] for row in found if row)
        # An earlier post that it completed may have some of its files: of the two, it is the one with the same words,
        # or else, as they were edited, the later one.
        number = max(filter(None, found), key=lambda row: (row[2], row[0]), default=(None,))[0]
        if number is None:
            without = """SELECT id FROM post WHERE taken_at = ? AND caption = ? AND permalink IS ?
                         AND NOT EXISTS (SELECT 1 FROM file WHERE file.post = post.id)"""
            rows = self._db.execute(without, (taken_at, post.caption, post.permalink))
            number = next((row[0] for row in rows if row[0] not in self._completed), None)
            if number is not None:
                self._completed.add(number)
        return number, [file for file, row in zip(files, found, strict=True) if not row]

    def _reword(self, number: int, post: Post, said: str) -> None:
        """Update the caption and tags of a known post if its source has changed them since the last run."""
        head, before = self._db.execute(
            "SELECT COALESCE(same_as, id), said FROM post WHERE id = ?", (number,)
        ).fetchone()
        if said == before:
            return
        self._db.execute("UPDATE post SET said = ? WHERE id = ?", (said, number))
        if before is None or not (post.caption or post.tags):
            return
        self._db.execute(
            "UPDATE post SET caption = ?, permalink = COALESCE(?, permalink), place = COALESCE(?, place) WHERE id = ?",
            (post.caption, post.permalink, post.place, head),
        )
        drop_tags(self._db, head)
        self._db.executemany(
            "INSERT OR REPLACE INTO post_tag(post, position, tag) VALUES(?,?,?)",
            [(head, position, tag) for position, tag in enumerate(self._tag_ids(post.tags))],
        )
        renew_sidecars(self._db, [head])

    def _tag_ids(self, tags: tuple[str, ...]) -> list[int]:
        """Return the row ids of a post's tags in order, without duplicates."""
        ids: dict[int, None] = {}
        for tag in tags:
            if tag not in self._tags:
                if len(self._tags) >= _TAGS_KEPT:
                    self._tags.clear()
                name = self._name(tag)
                self._tags[tag] = tag_id(self._db, name) if name else None
            number = self._tags[tag]
            if number is not None:
                ids[number] = None
        return list(ids)

    def _name(self, tag: str) -> str:
        """Return the folder name for a tag: its canonical form, or the spelling that the user prefers."""
        found = self._normalizer.normalize(tag)
        if self._history is None or not found.canonical:
            return found.tag
        return self._history.spelling(self._normalizer.vocabulary[found.canonical[0]])

    def _write(self, posts: list, files: list, tags: list) -> None:  # type: ignore[type-arg]
        self._db.executemany(
            "INSERT INTO post(id, taken_at, month, caption, permalink, place, guess, said) VALUES(?,?,?,?,?,?,?,?)",
            posts,
        )
        self._db.executemany(
            """INSERT INTO file(post, name, kind, path, member, size, mtime, permissions, how)
               VALUES(?,?,?,CAST(? AS TEXT),?,?,?,?,?)""",
            files,
        )
        self._db.executemany("INSERT INTO post_tag(post, position, tag) VALUES(?,?,?)", tags)


def folder_id(db: sqlite3.Connection, path: str) -> int:
    """Return the row id of a folder, adding it if needed; paths that differ only in case are one folder."""
    key = names.key(path)
    db.execute("INSERT OR IGNORE INTO folder(path, key) VALUES(?, ?)", (path, key))
    number: int = db.execute("SELECT id FROM folder WHERE key = ?", (key,)).fetchone()[0]
    return number


def tag_id(db: sqlite3.Connection, tag: str) -> int:
    """Return the row id of a tag, adding it if needed; tags that would share a folder are one tag."""
    key = names.key(names.safe_name(tag))
    db.execute("INSERT OR IGNORE INTO tag(key, name) VALUES(?, ?)", (key, tag))
    number: int = db.execute("SELECT id FROM tag WHERE key = ?", (key,)).fetchone()[0]
    return number


def drop_tags(db: sqlite3.Connection, post: int, but: int | None = None) -> None:
    """Remove the user's own tags from a post and its duplicates, except from the post ``but``."""
    db.execute(
        """DELETE FROM post_tag WHERE NOT by_model AND post IS NOT ?2
           AND (post = ?1 OR post IN (SELECT id FROM post WHERE same_as = ?1))""",
        (post, but),
    )


def renew_sidecars(db: sqlite3.Connection, posts: Iterable[int]) -> None:
    """Mark the sidecars of posts' files as stale, so that they are rewritten with what is known now.

    A file that is still planned may have one too, from a run that was killed or because only the photo was deleted.
    """
    db.executemany(
        f"""UPDATE place SET xmp = {Sidecar.STALE} WHERE xmp = {Sidecar.WANTED} AND file IN
            (SELECT COALESCE(same_as, id) FROM file WHERE post = ?)""",
        [(post,) for post in posts],
    )


def media_of(name: str, kind: str, path: str, member: str, size: int | None) -> Media:
    """Build the Media of a file row."""
    location = escaped(f"{path}!{member}" if member else path)
    if member:
        return Media(name, location, kind, archive=Path(path), member=member, size=size)  # type: ignore[arg-type]
    return Media(name, location, kind, path=Path(path), size=size)  # type: ignore[arg-type]


def _digest(post: Post) -> str:
    """Return a hash of a post's caption and tags."""
    return blake2b(repr((post.caption, post.tags)).encode(), digest_size=8).hexdigest()
