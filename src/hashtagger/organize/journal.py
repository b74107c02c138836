"""The journal: one SQLite file, `.hashtagger/journal.sqlite`, that holds the plan and its progress.

Planning works on a private copy, which replaces the journal by an atomic rename, so there is a complete plan or none.
Applying starts only then and records its progress. No change is ever made before the journal contains it.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

from hashtagger import locks
from hashtagger.errors import OrganizeError, cause_of
from hashtagger.i18n import _

FOLDER = ".hashtagger"
NAME = "journal.sqlite"
MADE = "made"  # lists the destination and folders above it that did not exist before
LOCK = "lock"
DRAFT = "draft.sqlite"
RESTORING = ".hashtagger-restoring"  # temporary name, beside the original path, of a moved file being restored
_VERSION = 1
_FULL_BELOW = 1 << 16

PLACE_INDEX = "CREATE INDEX place_file ON place(file, folder)"
_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- Folders of the tree, relative to the destination; `made` lists the ones we created, so that undo removes them.
CREATE TABLE folder(id INTEGER PRIMARY KEY, path TEXT NOT NULL, key TEXT NOT NULL UNIQUE);
CREATE TABLE made(path TEXT PRIMARY KEY) WITHOUT ROWID;
-- `same_as`: the earlier post that this one duplicates (same files, about the same time).
-- `asked`: NULL until the model is asked for a tag, then the empty string or the reason why it failed.
-- `said`: a hash of the words last read from its source; the ones in use may come from another source by now.
CREATE TABLE post(id INTEGER PRIMARY KEY, taken_at TEXT NOT NULL, month INT NOT NULL, caption TEXT NOT NULL,
    permalink TEXT, place TEXT, guess INT NOT NULL, same_as INT,
    asked TEXT, said TEXT);
CREATE TABLE tag(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, uses INT NOT NULL DEFAULT 0);
CREATE TABLE post_tag(post INT, position INT, tag INT NOT NULL, by_model INT NOT NULL DEFAULT 0,
    PRIMARY KEY(post, position)) WITHOUT ROWID;
-- A source file. `path` is the file, or the archive of `member`. `same_as`: an earlier file with the same content.
-- `how` it gets there: copy, hardlink, symlink or move. `content` is the source's hash if it was read, `digest` that of
-- our copy (which may have embedded XMP) or NULL for a link, `sidecar` that of its .xmp. A copy whose `content` is NULL
-- is outdated: its source has been edited since and will replace it.
-- `permissions` are those of the source; `released` tells whether a moved source is gone (see Released).
CREATE TABLE file(id INTEGER PRIMARY KEY, post INT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
    member TEXT NOT NULL, size INT, mtime INT, how TEXT NOT NULL, content TEXT, digest TEXT, sidecar TEXT, same_as INT,
    released INT NOT NULL DEFAULT 0, permissions INT);
CREATE INDEX file_size ON file(size, mtime);
CREATE INDEX file_same ON file(same_as) WHERE same_as IS NOT NULL;
CREATE INDEX file_post ON file(post);
CREATE INDEX post_time ON post(taken_at);
CREATE INDEX post_same ON post(same_as) WHERE same_as IS NOT NULL;
-- Where a file goes: a name in a folder, with or without a sidecar (see Sidecar), and its progress (see State).
CREATE TABLE place(folder INT, key TEXT, name TEXT NOT NULL, file INT NOT NULL, xmp INT NOT NULL,
    state INT NOT NULL DEFAULT 0, PRIMARY KEY(folder, key)) WITHOUT ROWID;
{PLACE_INDEX};
-- Files rewritten by each run (gallery, table, report): hashes of the current bytes and of those about to replace them.
CREATE TABLE page(name TEXT PRIMARY KEY, path TEXT NOT NULL, digest TEXT, coming TEXT) WITHOUT ROWID;
"""


class State(IntEnum):
    """The progress of a place."""

    PLANNED = 0
    LANDED = 1
    SAFE = 2  # landed, and flushed to the drive
    SURPLUS = 3  # was wanted by an earlier plan; to be removed


THERE = f"state IN ({State.LANDED}, {State.SAFE})"
"""SQL condition on `place`: it is wanted, and its file has landed there."""


class Released(IntEnum):
    """Whether the source of a moved file has been deleted."""

    NO = 0
    IN_DOUBT = 1  # about to be deleted or restored; stays so if the process is killed in between
    YES = 2


class Sidecar(IntEnum):
    """Whether a place has our sidecar beside it."""

    NONE = 0
    WANTED = 1
    SURPLUS = 2  # was wanted by an earlier plan; to be removed
    STALE = 3  # outdated; to be removed and written again


def open_database(path: "Path | str", **options: Any) -> sqlite3.Connection:
    """Open a SQLite database, decoding text like :func:`os.fsdecode`, as file names may contain any bytes.

    sqlite3 refuses to bind such a name as a string: bind its :func:`os.fsencode` to ``CAST(? AS TEXT)`` instead.
    """
    db: sqlite3.Connection = sqlite3.connect(path, **options)
    db.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return db


def journal_path(destination: Path) -> Path:
    """Return the path of a destination's journal."""
    return destination / FOLDER / NAME


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal for applying or undoing it.

    Raises:
        OrganizeError: The file is not a journal of this version.
    """
    with closing(open_database(path, isolation_level=None)) as db:
        # Exclusive locking lets the write-ahead log do without shared memory, which network drives lack.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 10000")  # each checkpoint waits for the drive
        _check_version(db, path)
        yield db


@contextmanager
def draft(journal: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a private copy of a journal (or a new one) as ``folder/draft.sqlite``, tuned for bulk planning.

    It may be corrupt if the process dies; it takes effect only when it is published (see :mod:`.plan`).
    """
    path = folder / DRAFT
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        if journal.with_name(journal.name + suffix).exists():
            shutil.copyfile(journal.with_name(journal.name + suffix), path.with_name(path.name + suffix))
    with closing(open_database(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")  # merges the log that a killed process left
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("PRAGMA temp.cache_size = -49152")
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        _check_version(db, journal)
        if "said" not in {row[1] for row in db.execute("PRAGMA table_info(post)")}:  # made by an earlier version
            db.execute("ALTER TABLE post ADD COLUMN said TEXT")
        yield db


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Store a value about the destination."""
    db.execute("INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))


def get_meta(db: sqlite3.Connection, name: str) -> str | None:
    """Return the value stored under a name, or ``None``."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def places_of(db: sqlite3.Connection, destination: Path, file: int, where: str = "TRUE") -> Iterator[Path]:
    """Yield the paths of a file's places that match an SQL condition on ``place``."""
    rows = db.execute(
        f"SELECT d.path || '/' || p.name FROM place p JOIN folder d ON d.id = p.folder WHERE p.file = ? AND {where}",
        (file,),
    )
    for (place,) in rows:
        yield destination / place


@contextmanager
def only_one(destination: Path) -> Iterator[None]:
    """Lock a destination against other processes; the lock of a killed process is released automatically.

    Raises:
        OrganizeError: Another process is at work there.
    """
    with locks.only_one(destination, destination / FOLDER / LOCK, OrganizeError):
        yield


@contextmanager
def in_one_line(destination: Path) -> Iterator[None]:
    """Turn errors of a destination's drive or journal into one-line messages.

    Raises:
        OrganizeError: The drive is full, read-only or failing, or the journal is damaged.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        own = destination / FOLDER
        for path in (destination, own, own / LOCK, own / NAME):
            if path.exists() and not os.access(path, os.W_OK):
                raise OrganizeError(_("{path}: read-only; make it writable and try again").format(path=path)) from error
        place = getattr(error, "filename", None) or destination
        if _is_out_of_space(error, destination):
            raise OrganizeError(
                _("{path}: no space left; nothing is lost, free some space and try again").format(path=place)
            ) from error
        cause = cause_of(error)
        raise OrganizeError(
            _("{path}: {cause}; nothing is lost, try again to go on").format(path=place, cause=cause)
        ) from error
    except sqlite3.DatabaseError as error:
        raise OrganizeError(f"{journal_path(destination)}: {error}") from error


def _is_out_of_space(error: OSError | sqlite3.OperationalError, destination: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    # SQLite reports a disk I/O error when its log cannot grow.
    return "full" in str(error) or (destination.exists() and shutil.disk_usage(destination).free < _FULL_BELOW)


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        raise OrganizeError(_("{path}: not a journal of this version of hashtagger").format(path=path))
