"""Verify that every file of a sorted tree is where the journal says, with unchanged content."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from hashtagger.errors import OrganizeError, cause_of
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.files import Fingerprint
from hashtagger.organize.journal import THERE, Sidecar, State, draft, in_one_line, journal_path, only_one
from hashtagger.organize.stage import SIDECAR
from hashtagger.posts.post import Problem


@dataclass(frozen=True)
class Verified:
    """The result of a verification.

    Attributes:
        places: Number of paths checked: photos and videos, their sidecars, and the gallery, table and report.
        pending: Number of paths that an interrupted run still has to fill.
        problems: Paths that are missing or changed.
    """

    places: int
    pending: int
    problems: list[Problem]


def verify(destination: "str | os.PathLike[str]") -> Verified:
    """Read every file of a sorted tree and compare it with what was put there.

    A copied or moved file is compared by its hash, a link by its target. The tree may be read-only.

    Raises:
        OrganizeError: Nothing was organized there, or its journal is damaged.
    """
    root = files.without_dots(Path(destination)).absolute()
    if not journal_path(root).exists():
        raise OrganizeError(_("{path}: nothing was organized here").format(path=root))
    with in_one_line(root), TemporaryDirectory(prefix="hashtagger-") as scratch, ExitStack() as stack:
        with suppress(sqlite3.OperationalError):  # A read-only tree cannot be locked.
            stack.enter_context(only_one(root))
        db = stack.enter_context(draft(journal_path(root), Path(scratch)))
        places, problems = 0, []
        for problem in chain(_media(db, root), _sidecars(db, root), _pages(db, root)):
            places += 1
            problems += [problem] if problem else []
        pending = db.execute("SELECT COUNT(*) FROM place WHERE state = ?", (State.PLANNED,)).fetchone()[0]
    return Verified(places, pending, problems)


def _media(db: sqlite3.Connection, root: Path) -> Iterator[Problem | None]:
    """Yield the problem, or ``None``, of each place of a photo or video."""
    rows = db.execute(
        f"""SELECT f.id, d.path || '/' || p.name, f.digest, f.path, f.size, f.mtime FROM place p
            JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.{THERE} ORDER BY f.id"""
    )
    for _number, group in groupby(rows, key=lambda row: row[0]):
        checked: set[tuple[int, int]] = set()
        for _id, place, *known in group:
            yield _problem(root / place, Fingerprint(*known).is_at, checked)


def _sidecars(db: sqlite3.Connection, root: Path) -> Iterator[Problem | None]:
    """Yield the problem, or ``None``, of each of our sidecars."""
    rows = db.execute(
        f"""SELECT d.path || '/' || p.name, f.sidecar FROM place p JOIN file f ON f.id = p.file
            JOIN folder d ON d.id = p.folder WHERE p.{THERE} AND p.xmp = ? AND f.sidecar IS NOT NULL""",
        (Sidecar.WANTED,),
    )
    for place, digest in rows:
        yield _problem(root / (place + SIDECAR), _hashed(digest), set())


def _pages(db: sqlite3.Connection, root: Path) -> Iterator[Problem | None]:
    """Yield the problem, or ``None``, of the gallery, the table and the report."""
    for name, *digests in db.execute("SELECT path, digest, coming FROM page"):
        yield _problem(root / name, _hashed(*digests), set())


def _hashed(*digests: str | None) -> Callable[[Path], bool]:
    """Return a predicate that tells whether a file has one of the given hashes."""
    return lambda path: files.digest_at(path) in digests


def _problem(path: Path, is_ours: Callable[[Path], bool], checked: set[tuple[int, int]]) -> Problem | None:
    """Return what is wrong with a path, if anything; hard links to a file in ``checked`` are not read again."""
    if not os.path.lexists(path):
        return Problem(str(path), _("missing; organize its source again to put it back"))
    stat = path.lstat()
    if (stat.st_dev, stat.st_ino) in checked:
        return None
    try:
        if not path.exists():
            return Problem(str(path), _("links to a file that is gone"))
        if not is_ours(path):
            return Problem(str(path), _("changed since it was put there"))
    except OSError as error:
        return Problem(str(path), cause_of(error))
    checked.add((stat.st_dev, stat.st_ino))
    return None
