"""Second pass: files with the same content, and posts met a second time.

Only files of one size are read, all of them where a few bytes of each agree, or in archives the checksums.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from zipfile import BadZipFile

from hashtagger.errors import cause_of
from hashtagger.organize import files
from hashtagger.organize.intake import drop_tags, media_of, renew_sidecars
from hashtagger.posts import archive
from hashtagger.posts.post import Problem

_SAMPLE = 4096
_SECONDS_APART = 61
_Row = tuple[int, int, str | None, str, str, str, str]


def mark_duplicates(db: sqlite3.Connection, first_new: int, how: str, destination: Path) -> list[Problem]:
    """Point each new file (from row ``first_new`` on) to an earlier one with the same content.

    Args:
        db: Draft of the journal.
        first_new: The first file (row) that was not there before.
        how: How new files get there; one that is moved needs more than a symbolic link to stand for it.
        destination: Root of the sorted tree.

    Returns:
        The files that could not be read.
    """
    problems: list[Problem] = []
    same: list[tuple[int, int]] = []
    rows = db.execute(
        """SELECT size, id, content, name, kind, path, member, mtime FROM file WHERE same_as IS NULL AND size IN
           (SELECT size FROM file WHERE same_as IS NULL GROUP BY size HAVING COUNT(*) > 1 AND MAX(id) >= ?)
           AND NOT (how = 'symlink' AND ? = 'move') ORDER BY size, id""",
        (first_new, how),
    )
    for _size, group in groupby(rows, key=lambda row: row[0]):
        found = (row if row[1] >= first_new else _stored(db, destination, row, mtime) for *row, mtime in group)
        same += _same_content([tuple(row) for row in found if row], first_new, problems)
    db.executemany("UPDATE file SET same_as = ? WHERE id = ?", same)
    _mark_posts(db, first_new)
    return problems


def _stored(db: sqlite3.Connection, destination: Path, row: _Row, mtime: int) -> _Row | None:
    """Give a stored file with the path at which it can be read: its source as it was, or else a place of the tree."""
    size, number, content, name, kind, path, member = row
    if content or member:
        return row
    places = db.execute(
        "SELECT d.path || '/' || p.name FROM place p JOIN folder d ON d.id = p.folder WHERE p.file = ? AND p.state",
        (number,),
    )
    for there in (Path(path), *(destination / place for (place,) in places)):
        if files.is_unchanged(there, size, mtime):
            return size, number, content, name, kind, str(there), member
    return None


def _same_content(rows: list[_Row], first_new: int, problems: list[Problem]) -> Iterator[tuple[int, int]]:
    """Yield (earlier file, later file) of one size with the same content."""
    by_sample: dict[bytes | int | None, list[_Row]] = defaultdict(list)
    known = [row for row in rows if row[1] < first_new]
    # A stored file's own sample may be gone with its source; a plain file has none to compare with a checksum.
    comparable = not known and len({bool(row[6]) for row in rows}) == 1
    for row in rows[len(known) :]:
        try:
            sample = _sample(row) if comparable else None
        except (OSError, BadZipFile) as error:
            problems.append(_problem(row, error))
            continue
        by_sample[sample].append(row)
    for alike in by_sample.values():
        if len(alike) == 1 and not known:
            continue
        firsts: dict[str, int] = {}
        for row in known + alike:
            try:
                first = firsts.setdefault(row[2] or _digest(row), row[1])
            except (OSError, BadZipFile) as error:
                if row in alike:
                    problems.append(_problem(row, error))
                continue
            if first != row[1] and row in alike:
                yield first, row[1]


def _sample(row: _Row) -> bytes | int:
    media = media_of(*row[3:], size=row[0])
    if media.archive and media.member:
        return archive.checksum(media.archive, media.member)
    with media.open() as file:
        file.seek(row[0] // 2)
        return file.read(_SAMPLE)


def _digest(row: _Row) -> str:
    with media_of(*row[3:], size=row[0]).open() as file:
        return files.digest_of(file)


def _problem(row: _Row, error: Exception) -> Problem:
    media = media_of(*row[3:], size=row[0])
    return Problem(media.location, cause_of(error))


def _mark_posts(db: sqlite3.Connection, first_new: int) -> None:
    """Mark posts all of whose files are those of an earlier post of the same time: the same post, met again.

    What travels along (a video's thumbnail, a sidecar) counts only where there is nothing else. Times of one post
    differ by seconds from source to source, and one that is a guess says nothing against it. The earlier post is told
    what it did not know; what it says otherwise gives way, as captions are edited.
    """
    db.execute(
        f"""UPDATE post SET same_as = again.earlier FROM (
             SELECT later, MIN(earlier) AS earlier FROM (
               SELECT f.post AS later, g.post AS earlier FROM file f
               JOIN file g ON (g.id = f.same_as OR g.same_as = f.same_as) AND g.post < f.post
               JOIN post p ON p.id = f.post JOIN post q ON q.id = g.post AND
                 (q.taken_at = p.taken_at OR p.guess OR q.guess AND g.id < ?1
                  OR ABS(julianday(q.taken_at) - julianday(p.taken_at)) * 86400 < {_SECONDS_APART})
               WHERE f.id >= ?1 AND f.same_as IS NOT NULL AND (f.kind != 'other' OR NOT EXISTS
                 (SELECT 1 FROM file WHERE post = f.post AND kind != 'other')) GROUP BY f.post, g.post
               HAVING COUNT(DISTINCT f.id) = (SELECT COALESCE(NULLIF(SUM(kind != 'other'), 0), COUNT(*))
                 FROM file WHERE post = f.post)
             ) GROUP BY later
           ) AS again WHERE post.id = again.later""",
        (first_new,),
    )
    while db.execute(
        """UPDATE post SET same_as = first.same_as FROM post AS first
           WHERE first.id = post.same_as AND first.same_as IS NOT NULL"""
    ).rowcount:
        pass
    _agree_on_times(db)
    renewed = db.execute(
        """SELECT DISTINCT p.id FROM file f JOIN post p ON p.id = f.post JOIN file g ON g.id = f.same_as
           JOIN post q ON q.id = g.post WHERE f.id >= ?1 AND f.same_as < ?1 AND (EXISTS
           (SELECT 1 FROM post_tag t WHERE t.post = p.id AND t.tag NOT IN (SELECT tag FROM post_tag WHERE post = q.id))
           OR p.same_as = q.id AND (p.caption NOT IN ('', q.caption)
             OR q.permalink IS NULL AND p.permalink IS NOT NULL OR q.place IS NULL AND p.place IS NOT NULL))""",
        (first_new,),
    ).fetchall()
    renew_sidecars(db, (post for (post,) in renewed))
    reworded = db.execute(  # A bare column beside MAX() is of the row that has the maximum.
        """SELECT q.id, p.caption, MAX(p.id) FROM post p JOIN post q ON q.id = p.same_as
           WHERE p.id IN (SELECT post FROM file WHERE id >= ?) AND p.caption NOT IN ('', q.caption) GROUP BY q.id""",
        (first_new,),
    ).fetchall()
    renew_sidecars(db, (earlier for earlier, *_words in reworded))
    for earlier, caption, later in reworded:
        db.execute("UPDATE post SET caption = ? WHERE id = ?", (caption, earlier))
        drop_tags(db, earlier, but=later)
    db.execute(
        """UPDATE post SET caption = COALESCE(NULLIF(post.caption, ''), again.caption),
           permalink = COALESCE(post.permalink, again.permalink), place = COALESCE(post.place, again.place)
           FROM (SELECT same_as, MAX(caption) AS caption, MAX(permalink) AS permalink, MAX(place) AS place
             FROM post WHERE same_as IS NOT NULL GROUP BY same_as) AS again WHERE post.id = again.same_as"""
    )


def _agree_on_times(db: sqlite3.Connection) -> None:
    """Give a post that was met again one time: the first that is no guess, or else the first."""
    known = db.execute(  # A bare column beside MIN() is of the row that has the minimum.
        """SELECT p.taken_at, p.month, q.id, MIN(p.id) FROM post p JOIN post q ON q.id = p.same_as
           WHERE q.guess AND NOT p.guess GROUP BY q.id"""
    ).fetchall()
    renew_sidecars(db, (earlier for *_time, earlier, _later in known))
    db.executemany("UPDATE post SET taken_at = ?, month = ?, guess = 0 WHERE id = ?", [row[:3] for row in known])
    db.execute(
        """UPDATE post SET taken_at = first.taken_at, month = first.month FROM post AS first
           WHERE first.id = post.same_as AND first.taken_at != post.taken_at"""
    )
