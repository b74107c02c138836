"""Undo: revert everything that organizing did to a destination; files changed since are kept."""

import os
import shutil
import sqlite3
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from hashtagger.errors import OrganizeError
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.apply import STAGE, remove_empty
from hashtagger.organize.files import Fingerprint
from hashtagger.organize.intake import media_of
from hashtagger.organize.journal import (
    DRAFT,
    FOLDER,
    LOCK,
    MADE,
    NAME,
    RESTORING,
    Released,
    State,
    connect,
    in_one_line,
    journal_path,
    only_one,
)
from hashtagger.organize.pages import PAGES, staged, write_pages
from hashtagger.organize.places import count_tags
from hashtagger.organize.plan import remembered_layout
from hashtagger.organize.report import count
from hashtagger.organize.stage import SIDECAR
from hashtagger.posts.post import Problem

_BATCH = 512


@dataclass(frozen=True)
class Undone:
    """The result of an undo.

    Attributes:
        removed: Number of paths removed.
        restored: Number of moved files put back at their source.
        problems: What was left in place, and why.
    """

    removed: int
    restored: int
    problems: list[Problem]


@dataclass(frozen=True)
class _Source:
    """A source of a file: a path, or an archive with its ``member``, and its recorded state."""

    number: int
    path: Path
    member: str
    size: int | None
    mtime: int
    permissions: int | None
    released: bool


@dataclass(frozen=True)
class _Place:
    folder: int
    key: str
    path: str
    state: int
    xmp: int


@dataclass(frozen=True)
class _Stored:
    """A file of the journal: how to recognize its copies, its sources, and its places in the tree."""

    number: int
    content: str | None
    sidecar: str | None
    fingerprint: Fingerprint
    sources: list[_Source]
    places: list[_Place]

    def copy(self, root: Path) -> Path | None:
        """Return the path of our copy in the tree, if any; a link to the source does not count."""
        for path in (root / place.path for place in self.places):
            is_link = path.is_symlink() or files.is_one(path, self.fingerprint.source)
            if self.fingerprint.is_at(path) and (self.fingerprint.digest is not None or not is_link):
                return path
        return None

    def is_at_source(self, source: _Source, root: Path) -> bool:
        """Return whether a source is still as it was, judged by its time or else by its content."""
        with suppress(OSError, BadZipFile):
            stat = source.path.stat()
            # A link into the tree does not count as a source.
            if not source.member and (stat.st_size != source.size or root.resolve() in source.path.resolve().parents):
                return False
            if stat.st_mtime_ns == source.mtime:
                return True
            if self.content:
                media = media_of(source.path.name, "other", str(source.path), source.member, source.size)
                with media.open() as stream:
                    return files.digest_of(stream) == self.content
        return False


def undo(destination: "str | os.PathLike[str]") -> Undone:
    """Restore a destination, and the sources of moved files, to their state before organizing.

    All runs into the destination are reverted: moved files go back to where they came from; copies, links and the
    folders that were created are removed. Files changed since, and copies whose source is gone, stay where they are and
    are reported. While such copies exist, the pages and the journal stay too, reduced to them. Calling the function
    again resumes an interrupted undo.

    Raises:
        OrganizeError: Nothing was organized there, or the destination cannot be written.
    """
    root = files.without_dots(Path(destination)).absolute()
    if not journal_path(root).exists():
        raise OrganizeError(_("{path}: nothing was organized here").format(path=root))
    with in_one_line(root):
        with only_one(root), connect(journal_path(root)) as db:
            undone, kept = _undo(db, root)
        if not kept:
            _remove_own(root)
    return undone


def _undo(db: sqlite3.Connection, root: Path) -> tuple[Undone, bool]:
    """Undo all that can be; also return whether copies stay whose source is gone, which the journal must keep."""
    problems: list[Problem] = []
    removed = restored = last = 0
    kept: list[int] = []
    files.remove_tree(root / FOLDER / STAGE)
    while stored := _read(db, last):
        last = stored[-1].number
        back = sum(_restore(db, root, file) for file in stored)
        if back:
            files.sync()  # A copy in the tree is removed only once the restored source is on the drive.
            restored += back
        going = []
        for file in stored:
            lacking = [source for source in file.sources if source.released and not file.is_at_source(source, root)]
            is_needed = bool(lacking) or not any(file.is_at_source(source, root) for source in file.sources)
            if is_needed and (copy := file.copy(root)):
                cause = _("kept, as its source is gone or changed; undo again once that is back")
                problems.append(Problem(str(copy), cause))
                kept.append(file.number)
            else:
                cause = _("not restored: its copy in the tree was changed or is no longer where it was put")
                problems += [Problem(str(source.path), cause) for source in lacking]
                going.append(file)
        _forget_places(db, going)
        removed += sum(_remove(root, file, problems) for file in going)
    if kept:
        _forget_all_but(db, kept)
        layout = remembered_layout(db)
        problems += write_pages(db, root, layout, count(db, root, layout.min_count, problems))[1]
    else:
        removed += _remove_pages(db, root, problems)
    remove_empty(db, root)
    return Undone(removed, restored, problems), bool(kept)


def _read(db: sqlite3.Connection, last: int) -> list[_Stored]:
    """Read the next files after id ``last``, with their sources and all their places, whatever their state."""
    query = "SELECT DISTINCT file FROM place WHERE file > ? ORDER BY file LIMIT ?"
    batch = [row[0] for row in db.execute(query, (last, _BATCH))]
    wanted = f"IN ({','.join('?' * len(batch))})"
    places, sources = defaultdict(list), defaultdict(list)
    for number, *place in db.execute(
        f"""SELECT p.file, p.folder, p.key, d.path || '/' || p.name, p.state, p.xmp
            FROM place p JOIN folder d ON d.id = p.folder WHERE p.file {wanted} ORDER BY p.folder, p.key""",
        batch,
    ):
        places[number].append(_Place(*place))
    for stored, number, path, member, size, mtime, permissions, released in db.execute(
        f"""SELECT COALESCE(same_as, id), id, path, member, size, mtime, permissions, released FROM file
            WHERE id {wanted} OR same_as {wanted} ORDER BY id""",
        batch * 2,
    ):
        sources[stored].append(_Source(number, Path(path), member, size, mtime, permissions, released != Released.NO))
    rows = db.execute(
        f"SELECT id, content, sidecar, digest, path, size, mtime FROM file WHERE id {wanted} ORDER BY id", batch
    )
    return [
        _Stored(number, content, sidecar, Fingerprint(*known), sources[number], places[number])
        for number, content, sidecar, *known in rows
    ]


def _restore(db: sqlite3.Connection, root: Path, file: _Stored) -> int:
    """Put the moved sources of a file back, unless something else is at their path; return how many."""
    missing = [source for source in file.sources if source.released and not os.path.lexists(source.path)]
    if not missing:
        return 0
    paths = (root / place.path for place in file.places)
    origin = next((path for path in paths if file.fingerprint.is_at(path)), None)
    if origin is None:
        return 0
    for source in missing:
        db.execute("UPDATE file SET released = ? WHERE id = ?", (Released.IN_DOUBT, source.number))
        _bring_back(origin, source, may_link=source.number == file.number)
    return len(missing)


def _bring_back(origin: Path, source: _Source, *, may_link: bool) -> None:
    """Put a moved file back at its original path, with its original time and permissions."""
    path = source.path
    path.parent.mkdir(parents=True, exist_ok=True)
    linked = may_link and files.link(origin, path)
    back = path if linked else path.with_name(RESTORING)
    if not linked:
        back.unlink(missing_ok=True)
        try:
            with origin.open("rb") as stream:
                files.write_checked(iter(lambda: stream.read(files.CHUNK), b""), back)
        except OSError as error:
            error.filename = error.filename or str(path)  # A failed write does not name the file.
            raise
        shutil.copystat(origin, back)
    os.utime(back, ns=(origin.stat().st_atime_ns, source.mtime))
    if source.permissions is not None:
        back.chmod(source.permissions)
    if not linked:
        files.rename(back, path)


def _forget_places(db: sqlite3.Connection, stored: list[_Stored]) -> None:
    """Record that files are about to leave the tree and that their sources are back in place."""
    db.execute("BEGIN")
    db.executemany(
        "UPDATE place SET state = ? WHERE folder = ? AND key = ?",
        [(State.PLANNED, place.folder, place.key) for file in stored for place in file.places],
    )
    db.executemany(
        "UPDATE file SET released = ? WHERE id = ?",
        [(Released.NO, source.number) for file in stored for source in file.sources if source.released],
    )
    db.execute("COMMIT")


def _remove(root: Path, file: _Stored, problems: list[Problem]) -> int:
    """Remove a file and its sidecars from its places if they are unchanged; return how many places were cleared."""
    removed = 0
    checked: set[tuple[int, int]] = set()
    for place in file.places:
        path = root / place.path
        if not os.path.lexists(path):
            pass
        elif _inode(path) in checked or file.fingerprint.is_at(path):
            checked.add(_inode(path))
            files.remove(path, file.fingerprint.source)
            removed += 1
        elif place.state != State.PLANNED:
            problems.append(Problem(str(path), _("changed since: kept")))
        beside = path.with_name(path.name + SIDECAR)
        if file.sidecar and beside.is_file():
            if files.is_empty(beside) or files.digest_at(beside) == file.sidecar:  # Empty: killed while writing.
                beside.unlink()
            elif place.state != State.PLANNED and place.xmp:
                problems.append(Problem(str(beside), _("changed since: kept")))
    return removed


def _inode(path: Path) -> tuple[int, int]:
    stat = path.lstat()
    return stat.st_dev, stat.st_ino


def _forget_all_but(db: sqlite3.Connection, kept: list[int]) -> None:
    """Reduce the journal to the files that stay, or the next run would bring all the others back."""
    db.execute("CREATE TEMP TABLE kept(id INTEGER PRIMARY KEY)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO kept VALUES(?)", [(number,) for number in kept])
    db.execute("DELETE FROM file WHERE COALESCE(same_as, id) NOT IN (SELECT id FROM kept)")
    db.execute("DELETE FROM place WHERE file NOT IN (SELECT id FROM kept)")
    db.execute(  # A duplicate's file needs the words of the post that it duplicates.
        """DELETE FROM post WHERE id NOT IN (SELECT COALESCE(p.same_as, p.id) FROM post p JOIN file f ON f.post = p.id)
           AND id NOT IN (SELECT post FROM file)"""
    )
    db.execute("DELETE FROM post_tag WHERE post NOT IN (SELECT id FROM post)")
    count_tags(db)
    db.execute("COMMIT")


def _remove_pages(db: sqlite3.Connection, root: Path, problems: list[Problem]) -> int:
    removed = 0
    for path, *digests in db.execute("SELECT path, digest, coming FROM page").fetchall():
        if (root / path).is_file():
            if files.digest_at(root / path) in digests:
                (root / path).unlink()
                removed += 1
            else:
                problems.append(Problem(str(root / path), _("changed since: kept")))
    return removed


def _remove_own(root: Path) -> None:
    """Remove our files from our own folder, the journal last, then that folder and those above it that we created."""
    own = root / FOLDER
    made = (own / MADE).read_bytes() if (own / MADE).exists() else b""
    databases = [name + suffix for name in (DRAFT, LOCK, NAME) for suffix in ("-journal", "-shm", "-wal", "")]
    for path in (*(staged(root, name) for name in PAGES), own / MADE, *(own / name for name in databases)):
        path.unlink(missing_ok=True)
    for path in (own, *(Path(os.fsdecode(path)) for path in made.split(b"\0") if path)):
        with suppress(OSError):
            path.rmdir()
