"""Verify: whether every file of a sorted tree is where the journal says, with the content it had."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from hashtagger.errors import OrganizeError
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.journal import State, draft, in_one_line, journal_path, only_one
from hashtagger.posts.post import Problem


@dataclass(frozen=True)
class Verified:
    """What verifying has come to.

    Attributes:
        places: Paths looked at.
        pending: Paths that an interrupted run has yet to bring.
        problems: Paths that are missing or not what was put there.
    """

    places: int
    pending: int
    problems: list[Problem]


def verify(destination: "str | os.PathLike[str]") -> Verified:
    """Read every file of a sorted tree again and compare it with what was put there.

    What was copied or moved is compared by its hash, a link by what it links to. The tree may be read-only.

    Raises:
        OrganizeError: Nothing was organized there, or its journal is damaged.
    """
    root = Path(destination).absolute()
    if not journal_path(root).exists():
        raise OrganizeError(_("{path}: nothing was organized here").format(path=root))
    with in_one_line(root), TemporaryDirectory(prefix="hashtagger-") as scratch, ExitStack() as stack:
        with suppress(sqlite3.OperationalError):  # Where one may only read, nobody is kept out.
            stack.enter_context(only_one(root))
        db = stack.enter_context(draft(journal_path(root), Path(scratch)))
        problems = list(_problems(db, root))
        places = db.execute("SELECT COUNT(*) FROM place WHERE state IN (1, 2)").fetchone()[0]
        pending = db.execute("SELECT COUNT(*) FROM place WHERE state = 0").fetchone()[0]
    return Verified(places, pending, problems)


def _problems(db: sqlite3.Connection, root: Path) -> Iterator[Problem]:
    rows = db.execute(
        """SELECT f.id, d.path || '/' || p.name, f.digest, f.path, f.size, f.mtime FROM place p
           JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.state IN (?, ?) ORDER BY f.id""",
        (State.LANDED, State.SAFE),
    )
    for _number, group in groupby(rows, key=lambda row: row[0]):
        checked: set[tuple[int, int]] = set()
        for _id, place, digest, source, size, mtime in group:
            path = root / place
            if not os.path.lexists(path):
                yield Problem(str(path), _("missing"))
                continue
            stat = path.lstat()
            if (stat.st_dev, stat.st_ino) in checked:
                continue
            try:
                if not path.exists():
                    yield Problem(str(path), _("links to a file that is gone"))
                elif files.is_ours(path, digest, Path(source), size, mtime):
                    checked.add((stat.st_dev, stat.st_ino))
                else:
                    yield Problem(str(path), _("changed since it was put there"))
            except OSError as error:
                yield Problem(str(path), error.strerror or str(error))
