"""Undo: everything that organizing did to a destination, taken back; what has been changed since stays."""

import os
import shutil
import sqlite3
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from hashtagger.errors import OrganizeError
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.apply import STAGE, remove_empty
from hashtagger.organize.intake import media_of
from hashtagger.organize.journal import (
    DRAFT,
    FOLDER,
    LOCK,
    MADE,
    NAME,
    RESTORING,
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
    """What an undo has come to.

    Attributes:
        removed: Paths taken away.
        restored: Moved files that are back at their source.
        problems: What was left where it is, and why.
    """

    removed: int
    restored: int
    problems: list[Problem]


@dataclass(frozen=True)
class _Place:
    folder: int
    key: str
    path: str
    state: int
    xmp: int


@dataclass(frozen=True)
class _Stored:
    """A file of the journal: what it came from, what tells that something is a copy of it, and where it went."""

    number: int
    source: Path
    member: str
    size: int | None
    mtime: int | None
    content: str | None
    digest: str | None
    sidecar: str | None
    moved: bool
    places: list[_Place]

    def is_at(self, path: Path) -> bool:
        return files.is_ours(path, self.digest, self.source, self.size, self.mtime)

    def copy(self, root: Path) -> Path | None:
        """A copy of ours in the tree; a link to the source is none."""
        for path in (root / place.path for place in self.places):
            is_link = self.digest is None and (path.is_symlink() or files.is_one(path, self.source))
            if not is_link and self.is_at(path):
                return path
        return None


def undo(destination: "str | os.PathLike[str]") -> Undone:
    """Put a destination, and the sources of moved files, back to what they were before organizing.

    All runs into the destination are taken back. Moved files go back to where they came from; copies and links go, and
    the folders that were made. What has been changed since, and a copy whose source is gone, stay where they are and
    are named; while there are such copies, the pages show them, and nothing else is remembered of the tree. An undo
    that was interrupted is taken up by the same call.

    Raises:
        OrganizeError: Nothing was organized there, or it cannot be written.
    """
    root = files.without_dots(Path(destination)).absolute()
    if not journal_path(root).exists():
        raise OrganizeError(_("{path}: nothing was organized here").format(path=root))
    with in_one_line(root):
        with only_one(root), connect(journal_path(root)) as db:
            undone, waiting = _undo(db, root)
        if not waiting:
            _remove_own(root)
    return undone


def _undo(db: sqlite3.Connection, root: Path) -> tuple[Undone, bool]:
    """Undo all that can be; tells also whether copies stay whose source is gone, so that the journal must too."""
    problems: list[Problem] = []
    removed = restored = last = 0
    waiting: list[int] = []
    files.remove_tree(root / FOLDER / STAGE)
    while stored := _read(db, last):
        last = stored[-1].number
        lacking: dict[int, list[str]] = defaultdict(list)
        back = sum(_restore(db, root, file, lacking) for file in stored if file.moved)
        if back:
            files.sync()
            restored += back
        going = []
        for file in stored:
            if (file.number in lacking or not _source_is_there(db, root, file)) and (kept := file.copy(root)):
                cause = _("kept, as its source is gone or changed; undo again once that is back")
                problems.append(Problem(str(kept), cause))
                waiting.append(file.number)
            else:
                cause = _("not restored: its copy in the tree was changed or is no longer where it was put")
                problems += [Problem(source, cause) for source in lacking.get(file.number, ())]
                going.append(file)
        db.execute("BEGIN")
        db.executemany(
            "UPDATE place SET state = 0 WHERE folder = ? AND key = ?",
            [(place.folder, place.key) for file in going for place in file.places],
        )
        db.executemany(
            "UPDATE file SET released = 0 WHERE id = ?1 OR same_as = ?1",
            [(file.number,) for file in going if file.moved],
        )
        db.execute("COMMIT")
        removed += sum(_remove(root, file, problems) for file in going)
    if waiting:
        _forget_all_but(db, waiting)
        problems += _show_what_is_left(db, root, problems)
    else:
        removed += _remove_pages(db, root, problems)
    remove_empty(db, root)
    return Undone(removed, restored, problems), bool(waiting)


def _forget_all_but(db: sqlite3.Connection, waiting: list[int]) -> None:
    """Let the journal know only what stays, or the next run would bring back all that it remembers."""
    db.execute("CREATE TEMP TABLE waiting(id INTEGER PRIMARY KEY)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO waiting VALUES(?)", [(number,) for number in waiting])
    db.execute("DELETE FROM file WHERE COALESCE(same_as, id) NOT IN (SELECT id FROM waiting)")
    db.execute("DELETE FROM place WHERE file NOT IN (SELECT id FROM waiting)")
    db.execute("DELETE FROM post WHERE id NOT IN (SELECT post FROM file)")
    db.execute("DELETE FROM post_tag WHERE post NOT IN (SELECT id FROM post)")
    count_tags(db)
    db.execute("COMMIT")


def _show_what_is_left(db: sqlite3.Connection, root: Path, problems: list[Problem]) -> list[Problem]:
    layout = remembered_layout(db)
    return write_pages(db, root, layout, count(db, root, layout.min_count, problems))[1]


def _read(db: sqlite3.Connection, last: int) -> list[_Stored]:
    """Read the next files, with their places in whatever state."""
    rows = db.execute(
        """SELECT f.id, f.path, f.member, f.size, f.mtime, f.content, f.digest, f.sidecar,
           EXISTS (SELECT 1 FROM file s WHERE s.released AND (s.id = f.id OR s.same_as = f.id)),
           p.folder, p.key, d.path || '/' || p.name, p.state, p.xmp
           FROM file f JOIN place p ON p.file = f.id JOIN folder d ON d.id = p.folder
           WHERE f.id IN (SELECT id FROM file WHERE id > ? AND same_as IS NULL ORDER BY id LIMIT ?) ORDER BY f.id""",
        (last, _BATCH),
    )
    found = []
    for _number, group in groupby(rows, key=lambda row: row[0]):
        places: list[Any] = list(group)
        number, path, member, size, mtime, content, digest, sidecar, moved = places[0][:9]
        wanted = [_Place(*row[9:]) for row in places]
        found.append(_Stored(number, Path(path), member, size, mtime, content, digest, sidecar, bool(moved), wanted))
    return found


def _source_is_there(db: sqlite3.Connection, root: Path, file: _Stored) -> bool:
    """Tell whether a file is at one of the sources that it was met in."""
    sources = db.execute(
        "SELECT path, member, size, mtime FROM file WHERE id = ?1 OR same_as = ?1 ORDER BY id", (file.number,)
    )
    return any(_is_at_source(root, file, Path(path), *known) for path, *known in sources.fetchall())


def _is_at_source(root: Path, file: _Stored, path: Path, member: str, size: int | None, mtime: int | None) -> bool:
    """Tell by its time, or else by its content, whether a source is as it was; of an archive, whether that is there."""
    with suppress(OSError, BadZipFile):
        stat = path.stat()
        # A link into the tree is no source of its own.
        if not member and (stat.st_size != size or root.resolve() in path.resolve().parents):
            return False
        if stat.st_mtime_ns == mtime:
            return True
        if file.content:
            with media_of(path.name, "other", str(path), member, size).open() as stream:
                return files.digest_of(stream) == file.content
    return False


def _restore(db: sqlite3.Connection, root: Path, file: _Stored, lacking: dict[int, list[str]]) -> int:
    """Bring the moved files of one content back to where they were; tells how many, and notes which are not there."""
    origin = next((root / place.path for place in file.places if file.is_at(root / place.path)), None)
    sources = db.execute(
        "SELECT id, path, size, mtime, permissions FROM file WHERE released AND (id = ?1 OR same_as = ?1)",
        (file.number,),
    ).fetchall()
    restored = 0
    for number, name, size, mtime, permissions in sources:
        path = Path(name)
        if origin is not None and not os.path.lexists(path):
            db.execute("UPDATE file SET released = 1 WHERE id = ?", (number,))
            path.parent.mkdir(parents=True, exist_ok=True)
            linked = path == file.source and files.link(origin, path)
            back = path if linked else path.with_name(RESTORING)
            if not linked:
                back.unlink(missing_ok=True)
                try:
                    with origin.open("rb") as stream:
                        files.write_checked(iter(lambda: stream.read(files.CHUNK), b""), back)
                except OSError as error:
                    error.filename = error.filename or name  # A write that fails does not say where.
                    raise
                shutil.copystat(origin, back)
            os.utime(back, ns=(origin.stat().st_atime_ns, mtime))
            if permissions is not None:
                back.chmod(permissions)
            if not linked:
                files.rename(back, path)
            restored += 1
        if not _is_at_source(root, file, path, "", size, mtime):
            lacking[file.number].append(name)
    return restored


def _remove(root: Path, file: _Stored, problems: list[Problem]) -> int:
    """Take a file away from its places, with its sidecars, where they are still as we left them."""
    removed = 0
    checked: set[tuple[int, int]] = set()
    for place in file.places:
        path = root / place.path
        if not os.path.lexists(path):
            pass
        elif _inode(path) in checked or file.is_at(path):
            checked.add(_inode(path))
            files.remove(path, file.source)
            removed += 1
        elif place.state:
            problems.append(Problem(str(path), _("changed since: kept")))
        beside = path.with_name(path.name + SIDECAR)
        if file.sidecar and beside.is_file():
            if files.is_empty(beside) or files.digest_at(beside) == file.sidecar:  # Empty: a run was killed at it.
                beside.unlink()
            elif place.state and place.xmp:
                problems.append(Problem(str(beside), _("changed since: kept")))
    return removed


def _inode(path: Path) -> tuple[int, int]:
    stat = path.lstat()
    return stat.st_dev, stat.st_ino


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
    """Remove what is ours in our own folder, the journal last, then it and the folders above that we made."""
    own = root / FOLDER
    made = (own / MADE).read_bytes() if (own / MADE).exists() else b""
    databases = [name + suffix for name in (DRAFT, LOCK, NAME) for suffix in ("-journal", "-shm", "-wal", "")]
    for path in (*(staged(root, name) for name in PAGES), own / MADE, *(own / name for name in databases)):
        path.unlink(missing_ok=True)
    for path in (own, *(Path(os.fsdecode(path)) for path in made.split(b"\0") if path)):
        with suppress(OSError):
            path.rmdir()
