"""One process at a time in a folder."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _


@contextmanager
def only_one(folder: Path, lock: Path, error: type[HashtaggerError]) -> Iterator[None]:
    """Keep a second process from working in a folder; a killed one lets go by itself.

    SQLite locks files on every system, and network drives.

    Args:
        folder: Named where another process is at work in it.
        lock: A file for this alone; made if missing, and left there, empty.
        error: What is raised then.
    """
    with closing(sqlite3.connect(lock, isolation_level=None, timeout=0)) as db:
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as cause:
            if "locked" not in str(cause):
                raise
            raise error(_("{path}: another hashtagger is at work here").format(path=folder)) from cause
        yield
