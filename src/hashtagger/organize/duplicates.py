"""Second pass: find files with the same content, and posts that duplicate an earlier one.

Only files of the same size are compared: first by a few bytes of each (in an archive by the checksum) and, where these
agree, by the whole content.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

from hashtagger.errors import cause_of
from hashtagger.organize import files
from hashtagger.organize.intake import drop_tags, media_of, renew_sidecars
from hashtagger.organize.journal import State, places_of
from hashtagger.posts import archive, sniff
from hashtagger.posts.post import Media, Problem

_SAMPLE = 4096
_SECONDS_APART = 61
_COMPANIONS = sniff.COMPANION | sniff.PHOTO | sniff.VIDEO
"""Extensions by which a file of kind ``other`` is a companion of a photo or video: sidecars, thumbnails."""


class _File(NamedTuple):
    """A file row: ``content`` is its hash if known, ``path`` the file itself or the archive of ``member``."""

    size: int
    number: int
    content: str | None
    name: str
    kind: str
    path: str
    member: str

    @property
    def media(self) -> Media:
        return media_of(self.name, self.kind, self.path, self.member, self.size)


def mark_duplicates(db: sqlite3.Connection, first_new: int, how: str, destination: Path) -> list[Problem]:
    """Point each new file (id ``first_new`` or higher) to an earlier one with the same content.

    Companions of different photos, such as sidecars, may have the same bytes, so a companion is compared only with
    those of the earlier post that its own post duplicates.

    Args:
        db: Draft of the journal.
        first_new: Id of the first file that is new in this plan.
        how: How new files get into the tree; with ``move``, a symbolic link does not count as an earlier file.
        destination: Root of the sorted tree.

    Returns:
        The files that could not be read.
    """
    problems: list[Problem] = []

    def mark(group: str, where: str) -> None:
        """Compare the files that share a group and a size."""
        rows = db.execute(
            f"""SELECT {group}, f.size, f.id, f.content, f.name, f.kind, f.path, f.member, f.mtime
                FROM file f JOIN post p ON p.id = f.post
                WHERE f.same_as IS NULL AND NOT (f.how = 'symlink' AND ?2 = 'move') AND {where} ORDER BY 1, 2, 3""",
            (first_new, how),
        )
        same: list[tuple[int, int]] = []
        for _group, found in groupby(rows, key=lambda row: row[:2]):
            alike = [(_File(*columns), mtime) for _head, *columns, mtime in found]
            new = [file for file, _mtime in alike if file.number >= first_new]
            stored = (_readable(db, destination, file, mtime) for file, mtime in alike if file.number < first_new)
            same += _same_content([file for file in stored if file], new, problems) if new else []
        db.executemany(
            """UPDATE file SET same_as = ?1 WHERE id = ?2
               AND (kind != 'other' OR post != (SELECT post FROM file WHERE id = ?1))""",
            same,
        )

    db.create_function("companion", 1, lambda name: sniff.extension(name) in _COMPANIONS, deterministic=True)
    mark(
        "0",
        """(f.kind != 'other' OR NOT companion(f.name)) AND f.size IN
            (SELECT size FROM file WHERE same_as IS NULL GROUP BY size HAVING COUNT(*) > 1 AND MAX(id) >= ?1)""",
    )
    _mark_posts(db, first_new)
    mark(
        "COALESCE(p.same_as, p.id)",
        """f.kind = 'other' AND COALESCE(p.same_as, p.id) IN (SELECT again.same_as FROM post again
           JOIN file new ON new.post = again.id WHERE new.id >= ?1 AND new.kind = 'other' AND new.same_as IS NULL)""",
    )
    _complete(db, first_new)
    return problems


def _readable(db: sqlite3.Connection, destination: Path, file: _File, mtime: int) -> _File | None:
    """Return a stored file with a readable path (its unchanged source, else a place in the tree), or ``None``."""
    if file.content or file.member:
        return file
    paths = chain([Path(file.path)], places_of(db, destination, file.number, f"state != {State.PLANNED}"))
    return next((file._replace(path=str(path)) for path in paths if files.is_unchanged(path, file.size, mtime)), None)


def _same_content(stored: list[_File], new: list[_File], problems: list[Problem]) -> Iterator[tuple[int, int]]:
    """Yield (earlier id, new id) for each new file that has the content of an earlier one; all have the same size."""
    by_sample: dict[bytes | int | None, list[_File]] = defaultdict(list)
    # No samples if a source may be gone (stored files), or for a mix of plain files and archive members (checksums).
    comparable = not stored and len({bool(file.member) for file in new}) == 1
    for file in new:
        try:
            sample = _sample(file) if comparable else None
        except (OSError, BadZipFile) as error:
            problems.append(Problem(file.media.location, cause_of(error)))
            continue
        by_sample[sample].append(file)
    for alike in by_sample.values():
        if len(alike) == 1 and not stored:
            continue
        firsts: dict[str, int] = {}
        for file in stored + alike:
            is_new = file.number >= alike[0].number
            try:
                first = firsts.setdefault(file.content or _digest(file), file.number)
            except (OSError, BadZipFile) as error:
                if is_new:
                    problems.append(Problem(file.media.location, cause_of(error)))
                continue
            if first != file.number and is_new:
                yield first, file.number


def _sample(file: _File) -> bytes | int:
    """Return a few bytes from the middle of a file, or the checksum of an archive member."""
    media = file.media
    if media.archive and media.member:
        return archive.checksum(media.archive, media.member)
    with media.open() as stream:
        stream.seek(file.size // 2)
        return stream.read(_SAMPLE)


def _digest(file: _File) -> str:
    with file.media.open() as stream:
        return files.digest_of(stream)


def _mark_posts(db: sqlite3.Connection, first_new: int) -> None:
    """Mark posts as duplicates of an earlier post.

    The earlier post takes over what it lacks, and the duplicate's caption if it differs, as captions get edited.
    """
    db.execute("CREATE TEMP TABLE marked(post INTEGER PRIMARY KEY, earlier INT)")
    db.executemany("INSERT INTO marked VALUES(?, ?)", _duplicates(db, first_new).items())
    db.execute("UPDATE post SET same_as = marked.earlier FROM marked WHERE marked.post = post.id")
    # A known post whose new files make it a duplicate may have duplicates of its own.
    db.execute("UPDATE post SET same_as = marked.earlier FROM marked WHERE marked.post = post.same_as")
    _agree_on_times(db)
    renewed = db.execute(
        """SELECT DISTINCT p.id FROM file f JOIN post p ON p.id = f.post JOIN file g ON g.id = f.same_as
           JOIN post q ON q.id = g.post WHERE f.id >= ?1 AND f.same_as < ?1 AND (EXISTS
           (SELECT 1 FROM post_tag t WHERE t.post = p.id AND t.tag NOT IN (SELECT tag FROM post_tag WHERE post = q.id))
           OR q.id IN (SELECT post FROM marked) OR p.same_as = q.id AND (p.caption NOT IN ('', q.caption)
             OR q.permalink IS NULL AND p.permalink IS NOT NULL OR q.place IS NULL AND p.place IS NOT NULL))""",
        (first_new,),
    ).fetchall()
    renew_sidecars(db, (post for (post,) in renewed))
    reworded = db.execute(  # SQLite takes bare columns from the row with the MAX().
        """SELECT q.id, p.caption, MAX(p.id)
           FROM marked JOIN post p ON p.id = marked.post JOIN post q ON q.id = p.same_as
           WHERE p.caption != '' GROUP BY q.id HAVING p.caption != q.caption"""
    ).fetchall()
    renew_sidecars(db, (earlier for earlier, *_words in reworded))
    for earlier, caption, later in reworded:
        db.execute("UPDATE post SET caption = ? WHERE id = ?", (caption, earlier))
        drop_tags(db, earlier, but=later)
        # The earlier post may have files that the later one lacks, such as a photo deleted from a carousel.
        db.execute(
            """INSERT OR REPLACE INTO post_tag(post, position, tag)
               SELECT ?, position, tag FROM post_tag WHERE post = ? AND NOT by_model""",
            (earlier, later),
        )
    db.execute(
        """UPDATE post SET caption = COALESCE(NULLIF(post.caption, ''), again.caption),
           permalink = COALESCE(post.permalink, again.permalink), place = COALESCE(post.place, again.place)
           FROM (SELECT same_as, MAX(caption) AS caption, MAX(permalink) AS permalink, MAX(place) AS place
             FROM post WHERE same_as IS NOT NULL GROUP BY same_as) AS again WHERE post.id = again.same_as"""
    )


def _duplicates(db: sqlite3.Connection, first_new: int) -> dict[int, int]:
    """Map each post that turns out to duplicate an earlier one, because of new files, to that one.

    They are of the same time, and one has all files of the other; several posts that each have a part of a new one are
    one post. RAW files count only if a post has no photo or video, and companions never do. Times from two sources may
    differ by seconds. A guessed time matches any, but then gives way to a known one, so it joins no posts of different
    times.
    """
    db.execute(
        """CREATE TEMP VIEW part AS SELECT id, post, same_as, COALESCE(same_as, id) AS stored,
           iif(kind != 'other', TRUE, NOT companion(name)
             AND NOT EXISTS (SELECT 1 FROM file WHERE post = f.post AND kind != 'other')) AS counts
           FROM file f"""
    )
    pairs = db.execute(
        f"""SELECT p.id, p.guess, q.guess, head.id, head.guess,
            COUNT(DISTINCT f.id) FILTER (WHERE f.counts) < (SELECT SUM(counts) FROM part WHERE post = p.id) AS has_more
            FROM part f JOIN part g ON (g.id = f.same_as OR g.same_as = f.same_as) AND g.post < f.post
            JOIN post p ON p.id = f.post JOIN post q ON q.id = g.post AND (p.guess OR q.guess OR q.taken_at = p.taken_at
              OR ABS(julianday(q.taken_at) - julianday(p.taken_at)) * 86400 < {_SECONDS_APART})
            JOIN post head ON head.id = COALESCE(q.same_as, q.id)
            WHERE f.id >= ? AND f.same_as IS NOT NULL AND p.same_as IS NULL AND (f.counts OR g.counts)
            GROUP BY p.id, q.id
            HAVING NOT has_more
              OR COUNT(DISTINCT g.id) FILTER (WHERE g.counts) = (SELECT SUM(counts) FROM part WHERE post = q.id)
            ORDER BY p.id, has_more, q.id""",
        (first_new,),
    )
    earlier_of: dict[int, int] = {}
    known: set[int] = set()  # earlier posts whose time is not a guess, or no longer

    def first(post: int) -> int:
        while post in earlier_of:
            post = earlier_of[post]
        return post

    for later, is_guess, again_is_guess, head, head_is_guess, has_more in pairs:
        if not head_is_guess:
            known.add(head)
        earlier = first(head)
        if earlier in known and again_is_guess and not is_guess:
            continue
        if later not in earlier_of:
            earlier_of[later] = earlier
            if not is_guess:
                known.add(earlier)
        elif has_more and (whole := first(later)) < earlier and not (is_guess and {whole, earlier} <= known):
            earlier_of[earlier] = whole
            if earlier in known:
                known.add(whole)
    return {later: first(later) for later in earlier_of}


def _complete(db: sqlite3.Connection, first_new: int) -> None:
    """Give posts the files, and for those the tags, that only their duplicates have."""
    fuller = db.execute(
        """SELECT id, same_as FROM post WHERE same_as IS NOT NULL AND id IN (SELECT post FROM file WHERE id >= ?)
           AND EXISTS (SELECT 1 FROM part f WHERE f.post = post.id AND f.counts
                       AND f.stored NOT IN (SELECT stored FROM part WHERE post = post.same_as))""",
        (first_new,),
    ).fetchall()
    for later, earlier in fuller:
        db.execute(
            """UPDATE file SET post = ?1
               WHERE post = ?2 AND COALESCE(same_as, id) NOT IN (SELECT stored FROM part WHERE post = ?1)""",
            (earlier, later),
        )
        db.execute(
            """INSERT INTO post_tag(post, position, tag)
               SELECT ?1, position + (SELECT COALESCE(MAX(position), -1) + 1 FROM post_tag WHERE post = ?1), tag
               FROM post_tag WHERE post = ?2
               AND tag NOT IN (SELECT tag FROM post_tag WHERE post = ?1 AND NOT by_model)""",
            (earlier, later),
        )


def _agree_on_times(db: sqlite3.Connection) -> None:
    """Give a post and its duplicates one time: the first that is not a guess, or else the first."""
    known = db.execute(  # SQLite takes bare columns from the row with the MIN().
        """SELECT p.taken_at, p.month, q.id, MIN(p.id) FROM post p JOIN post q ON q.id = p.same_as
           WHERE q.guess AND NOT p.guess GROUP BY q.id"""
    ).fetchall()
    renew_sidecars(db, (earlier for *_time, earlier, _later in known))
    db.executemany("UPDATE post SET taken_at = ?, month = ?, guess = 0 WHERE id = ?", [row[:3] for row in known])
    db.execute(
        """UPDATE post SET taken_at = first.taken_at, month = first.month FROM post AS first
           WHERE first.id = post.same_as AND first.taken_at != post.taken_at"""
    )
