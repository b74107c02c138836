"""A lock that allows one process at a time in a folder."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _


@contextmanager
def only_one(folder: Path, lock: Path, error: type[HashtaggerError]) -> Iterator[None]:
    """Hold an exclusive lock on a folder; the operating system releases it if the process is killed.

    The lock is an SQLite transaction, because SQLite can lock files on every system and on network drives.

    Args:
        folder: The folder that the error message names.
        lock: The lock file, used for nothing else; created if missing, and left behind empty.
        error: Raised if another process holds the lock.
    """
    with closing(sqlite3.connect(lock, isolation_level=None, timeout=0)) as db:
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as cause:
            if "locked" not in str(cause):
                raise
            raise error(_("{path}: another hashtagger is at work here").format(path=folder)) from cause
        yield
