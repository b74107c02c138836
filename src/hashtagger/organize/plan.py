"""Planning: work out every place of every file of a source, in a private copy of the journal."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.duplicates import mark_duplicates
from hashtagger.organize.files import Fingerprint
from hashtagger.organize.intake import Intake, folder_id
from hashtagger.organize.journal import (
    DRAFT,
    THERE,
    Released,
    Sidecar,
    State,
    draft,
    get_meta,
    open_database,
    places_of,
    set_meta,
)
from hashtagger.organize.layout import KINDS, Layout
from hashtagger.organize.places import assign_places
from hashtagger.organize.tagging import drop_guesses, tag_untagged
from hashtagger.posts.mojibake import escaped
from hashtagger.posts.post import Post, Problem, Source

if TYPE_CHECKING:
    from hashtagger.history import History
    from hashtagger.normalize import Normalizer


@dataclass(frozen=True)
class Placement:
    """One file going to one path of the sorted tree.

    Attributes:
        source: The file, or ``archive.zip!member``.
        path: Where it goes, relative to the destination, with ``/``.
        how: ``copy``, ``hardlink``, ``symlink`` or ``move``; ``remove`` if the file will be removed from this path, as
            it belongs elsewhere in the tree now.
        done: Whether it is already there.
    """

    source: str
    path: str
    how: str
    done: bool


def make_plan(
    source: Source,
    destination: Path,
    journal: Path,
    folder: Path,
    *,
    layout: Layout,
    zone: tzinfo,
    how: str,
    tag: bool = True,
    normalizer: "Normalizer | None" = None,
    history: "History | None" = None,
    seen: Callable[[Post], object] = lambda post: None,
) -> list[Problem]:
    """Write the plan to ``folder/draft.sqlite``, and nothing anywhere else.

    Args:
        source: Where the posts come from.
        destination: Root of the sorted tree; only read, to see which names are taken.
        journal: The destination's journal, which need not exist.
        folder: An existing folder for the draft.
        layout: The folders of the tree.
        zone: Time zone that determines a post's month.
        how: How new files get into the tree: ``copy``, ``hardlink``, ``symlink`` or ``move``.
        tag: Whether the model tags posts that have no tags.
        normalizer: Decides which tags are the same; by default that of the twenty hashtags.
        history: The user's past posts, for the folder names and the model's tags.
        seen: Called with each post, for a progress bar.

    Returns:
        The problems found.
    """
    with draft(journal, folder) as db:
        db.execute("BEGIN")
        new_file = db.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM file").fetchone()[0]
        dead = _follow_links(db, destination)
        intake = Intake(db, layout, zone, how, normalizer, history)
        for post in intake.take(source):
            seen(post)
        _forget_edited(db, destination, new_file)
        _switch_mode(db, how)
        problems = _mend_links(db, dead, new_file)
        _replace_sidecars(db, destination, new_file)
        problems += _without_moved(db, [*source.problems, *intake.problems])
        if intake.settled:
            cause = _("{count} files are already here and stay as they are; the mode applies to new ones only")
            problems.append(Problem(str(destination), cause.format(count=intake.settled)))
        problems += mark_duplicates(db, new_file, how, destination)
        drop_guesses(db)
        if tag:
            reported = {str(Path(problem.location).absolute()) for problem in problems}
            problems += [one for one in tag_untagged(db, destination, history) if one.location not in reported]
        if get_meta(db, "lang") not in (None, layout.lang):
            _rename_months(db, layout)
        assign_places(db, layout, destination, new_file)
        set_meta(db, "by", ",".join(layout.by))
        set_meta(db, "min_count", str(layout.min_count))
        set_meta(db, "lang", layout.lang)
        set_meta(db, "timezone", str(zone))
        db.execute("COMMIT")
        return problems


def remembered_layout(db: sqlite3.Connection) -> Layout:
    """Return the layout of the last plan."""
    by = get_meta(db, "by") or ",".join(KINDS)
    return Layout(tuple(by.split(",")), get_meta(db, "lang") or "ko", int(get_meta(db, "min_count") or 2))


def publish(folder: Path, journal: Path) -> None:
    """Turn a draft into the journal by an atomic rename that survives a power cut."""
    path = folder / DRAFT
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    path.replace(journal)


def placements(journal: Path) -> Iterator[Placement]:
    """Read the plan from a journal or a draft, sorted by path."""
    with closing(open_database(journal)) as db:
        rows = db.execute(
            """SELECT f.path, f.member, d.path, p.name, f.how, p.state FROM place p
               JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder ORDER BY d.path, p.key"""
        )
        for path, member, folder, name, how, state in rows:
            location = escaped(f"{path}!{member}" if member else path)
            done = state in (State.LANDED, State.SAFE)
            yield Placement(location, f"{folder}/{name}", "remove" if state == State.SURPLUS else how, done)


def _follow_links(db: sqlite3.Connection, destination: Path) -> dict[int, Path]:
    """Record the new size and time of source files edited since the tree linked to them.

    Returns:
        The broken symbolic links in the tree, by file id.
    """
    rows = db.execute(
        f"""SELECT f.id, f.path, f.size, f.mtime FROM file f
            WHERE f.digest IS NULL AND EXISTS (SELECT 1 FROM place p WHERE p.file = f.id AND p.{THERE})"""
    ).fetchall()
    dead = {}
    for number, path, size, mtime in rows:
        source = Path(path)
        if files.is_unchanged(source, size, mtime):
            continue
        for final in places_of(db, destination, number, THERE):
            if final.is_symlink() and not final.exists():
                dead[number] = final
            with suppress(OSError):
                if final.samefile(source):
                    found = source.stat()
                    now = (found.st_size, found.st_mtime_ns, number)
                    db.execute("UPDATE file SET size = ?, mtime = ?, content = NULL WHERE id = ?", now)
                    break
    return dead


def _mend_links(db: sqlite3.Connection, dead: dict[int, Path], first_new: int) -> list[Problem]:
    """Repair broken links whose target was found as a new file (moved elsewhere), and report the others."""
    problems = []
    for number, final in dead.items():
        moved = db.execute(
            """SELECT new.id FROM file old JOIN file new ON new.size = old.size AND new.mtime = old.mtime
               AND new.name = old.name AND new.member = '' WHERE old.id = ? AND new.id >= ?""",
            (number, first_new),
        ).fetchone()
        if moved is None:
            problems.append(Problem(str(final), _("links to a file that is gone")))
            continue
        db.execute("UPDATE file SET path = (SELECT path FROM file WHERE id = ?) WHERE id = ?", (*moved, number))
        db.execute("UPDATE file SET same_as = ? WHERE id = ?", (number, *moved))
        db.execute(f"UPDATE place SET state = ? WHERE file = ? AND {THERE}", (State.PLANNED, number))
    return problems


def _forget_edited(db: sqlite3.Connection, destination: Path, first_new: int) -> None:
    """Forget files that are not in the tree and whose edited source has now been found as a new file.

    An interrupted run planned them, or somebody has removed them from the tree.
    """
    edited = db.execute(
        f"""SELECT DISTINCT old.id, old.post, new.post FROM file new JOIN file old ON old.path = new.path
            WHERE new.id >= ?1 AND old.id < ?1 AND new.member = '' AND old.member = '' AND old.same_as IS NULL
            AND old.released = {Released.NO} AND NOT EXISTS (SELECT 1 FROM file WHERE same_as = old.id)""",
        (first_new,),
    ).fetchall()
    for old, post, again in edited:
        places = places_of(db, destination, old)
        if any(os.path.lexists(path) or os.path.lexists(f"{path}.xmp") for path in places):
            continue
        db.execute("DELETE FROM place WHERE file = ?", (old,))
        db.execute("DELETE FROM file WHERE id = ?", (old,))
        if not db.execute("SELECT 1 FROM file WHERE post = ?", (post,)).fetchone():
            db.execute("UPDATE post SET same_as = ? WHERE same_as = ? AND id != ?", (again, post, again))
            db.execute("DELETE FROM post WHERE id = ?", (post,))
            db.execute("DELETE FROM post_tag WHERE post = ?", (post,))


def _replace_sidecars(db: sqlite3.Connection, destination: Path, first_new: int) -> None:
    """Let the user's sidecars that were edited at their source replace our copies, unless those were edited too.

    As further files of their posts they would get numbers, and photo managers would go on reading the old ones.
    """
    edited = db.execute(  # SQLite takes bare columns from the row with the MAX().
        f"""SELECT new.id, MAX(old.id), old.digest, old.path, old.size, old.mtime FROM file new
            JOIN post ON post.id = new.post
            JOIN file old ON old.post IN (post.id, post.same_as) AND old.path = new.path AND old.id < ?1
            WHERE new.id >= ?1 AND new.member = '' AND new.name LIKE '%.xmp' AND old.released = {Released.NO}
            AND old.same_as IS NULL AND NOT EXISTS (SELECT 1 FROM file WHERE same_as = old.id) GROUP BY new.id""",
        (first_new,),
    ).fetchall()
    for new, old, *known in edited:
        there = [path for path in places_of(db, destination, old) if os.path.lexists(path)]
        ours = Fingerprint(*known)
        if not all(ours.is_at(path) for path in there):
            continue
        digest = ours.digest or next(map(files.digest_at, there), None)  # a hard link has no hash yet
        db.execute(
            """UPDATE file SET (size, mtime, permissions) = (SELECT size, mtime, permissions FROM file WHERE id = ?),
               content = NULL, digest = ? WHERE id = ?""",
            (new, digest, old),
        )
        db.execute(f"UPDATE place SET state = ? WHERE file = ? AND {THERE}", (State.PLANNED, old))
        db.execute("DELETE FROM file WHERE id = ?", (new,))


def _switch_mode(db: sqlite3.Connection, how: str) -> None:
    """Apply this run's mode also to files that an earlier run planned but did not put into the tree."""
    db.execute(
        f"""UPDATE file SET how = ?1 WHERE how != ?1 AND member = '' AND released = {Released.NO} AND NOT EXISTS
            (SELECT 1 FROM place p WHERE p.file = COALESCE(file.same_as, file.id) AND p.state != {State.PLANNED})""",
        (how,),
    )


def _rename_months(db: sqlite3.Connection, layout: Layout) -> None:
    """Move the posts of earlier runs to the month folders of another language, and renew the top tag in sidecars."""
    months = db.execute("SELECT DISTINCT substr(taken_at, 1, 7) FROM post").fetchall()
    folders = {month: folder_id(db, layout.month(datetime.fromisoformat(month + "-01"))) for (month,) in months}
    db.create_function("folder_of_month", 1, folders.__getitem__)
    db.execute("UPDATE post SET month = folder_of_month(substr(taken_at, 1, 7))")
    db.execute("UPDATE place SET xmp = ? WHERE xmp = ?", (Sidecar.STALE, Sidecar.WANTED))


def _without_moved(db: sqlite3.Connection, problems: list[Problem]) -> list[Problem]:
    """Drop the problems of files that are missing only because an earlier run moved them.

    A source may report a file by only the last parts of its path.
    """
    named = {problem.location for problem in problems}
    moved = set()
    query = f"SELECT path FROM file WHERE member = '' AND released != {Released.NO}"
    for (path,) in db.execute(query) if named else ():
        parts = Path(path).as_posix().split("/")
        moved |= named & {"/".join(parts[start:]) for start in range(len(parts))}
    return [problem for problem in problems if problem.location not in moved]
