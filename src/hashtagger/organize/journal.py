"""The journal: one SQLite file, `.hashtagger/journal.sqlite`, that holds the plan and how far it has got.

Planning works on a private copy, which replaces the journal in one rename: there is a whole plan or none. Only then
does applying begin, which marks each step. Nothing is ever done that the journal does not already say.
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
MADE = "made"  # the destination and folders above it that were not there before
LOCK = "lock"
DRAFT = "draft.sqlite"
RESTORING = ".hashtagger-restoring"  # a moved file on its way back, beside where it was
_VERSION = 1
_LITTLE = 1 << 16

PLACE_INDEX = "CREATE INDEX place_file ON place(file, folder)"
_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- Folders of the tree, relative to the destination; and those that were not there before us, so that undo removes them.
CREATE TABLE folder(id INTEGER PRIMARY KEY, path TEXT NOT NULL, key TEXT NOT NULL UNIQUE);
CREATE TABLE made(path TEXT PRIMARY KEY) WITHOUT ROWID;
-- `same_as`: an earlier post with the same time and the same files, met again in another source.
-- `asked`: whether the model was asked for a tag: the empty string, or why it could not tell.
-- `said`: a hash of the words that its source had for it last; those that count may be of another source by now.
CREATE TABLE post(id INTEGER PRIMARY KEY, taken_at TEXT NOT NULL, month INT NOT NULL, caption TEXT NOT NULL,
    permalink TEXT, place TEXT, guess INT NOT NULL, same_as INT,
    asked TEXT, said TEXT);
CREATE TABLE tag(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, uses INT NOT NULL DEFAULT 0);
CREATE TABLE post_tag(post INT, position INT, tag INT NOT NULL, by_model INT NOT NULL DEFAULT 0,
    PRIMARY KEY(post, position)) WITHOUT ROWID;
-- A source file. `path` is the file, or the archive of `member`. `same_as`: a file with the same content.
-- `how` it gets there: copy, hardlink, symlink or move. `content` is the source's hash where it was read, `digest` that
-- of the copy (which may have XMP inside), none where it is a link; `sidecar` that of its .xmp.
-- `permissions` are the source's; `released` tells whether a moved source is gone (see Released).
CREATE TABLE file(id INTEGER PRIMARY KEY, post INT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
    member TEXT NOT NULL, size INT, mtime INT, how TEXT NOT NULL, content TEXT, digest TEXT, sidecar TEXT, same_as INT,
    released INT NOT NULL DEFAULT 0, permissions INT);
CREATE INDEX file_size ON file(size, mtime);
CREATE INDEX file_same ON file(same_as) WHERE same_as IS NOT NULL;
CREATE INDEX file_post ON file(post);
CREATE INDEX post_time ON post(taken_at);
CREATE INDEX post_same ON post(same_as) WHERE same_as IS NOT NULL;
-- Where a file goes: a name in a folder, whether with its sidecar (see Sidecar), and how far that has got (see State).
CREATE TABLE place(folder INT, key TEXT, name TEXT NOT NULL, file INT NOT NULL, xmp INT NOT NULL,
    state INT NOT NULL DEFAULT 0, PRIMARY KEY(folder, key)) WITHOUT ROWID;
{PLACE_INDEX};
-- Files we write anew each run (gallery, table, report): the bytes there now, and those about to be.
CREATE TABLE page(name TEXT PRIMARY KEY, path TEXT NOT NULL, digest TEXT, coming TEXT) WITHOUT ROWID;
"""


class State(IntEnum):
    """How far a place has got."""

    PLANNED = 0
    LANDED = 1
    SAFE = 2  # landed, and flushed to the drive
    SURPLUS = 3  # was wanted by an earlier plan, to be taken away


THERE = f"state IN ({State.LANDED}, {State.SAFE})"
"""SQL condition on `place`: it is wanted, and its file has been put there."""


class Released(IntEnum):
    """Whether the source of a moved file has been deleted."""

    NO = 0
    IN_DOUBT = 1  # about to be deleted or brought back; stays so where a run is killed in between
    YES = 2


class Sidecar(IntEnum):
    """Whether a place has our sidecar beside it."""

    NONE = 0
    WANTED = 1
    SURPLUS = 2  # was wanted by an earlier plan, to be taken away
    STALE = 3  # says less than is known by now, to be taken away and written anew


def open_database(path: "Path | str", **options: Any) -> sqlite3.Connection:
    """Open a SQLite file whose text may hold file names of any bytes, as :func:`os.fsdecode` would give them.

    sqlite3 refuses to write such a name as a string: bind its :func:`os.fsencode` to ``CAST(? AS TEXT)`` instead.
    """
    db: sqlite3.Connection = sqlite3.connect(path, **options)
    db.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return db


def journal_path(destination: Path) -> Path:
    """Where a destination's journal lies."""
    return destination / FOLDER / NAME


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal for applying or undoing it.

    Raises:
        OrganizeError: It is a newer one, or none of ours.
    """
    with closing(open_database(path, isolation_level=None)) as db:
        # Exclusive locking lets the write-ahead log do without shared memory, which network drives lack.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 10000")  # each waits for the drive
        _check_version(db, path)
        yield db


@contextmanager
def draft(journal: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a private copy of a journal (or a new one) as ``folder/draft.sqlite``, tuned for planning in bulk.

    It may be torn when the process dies: only :func:`publish` makes it count.
    """
    path = folder / DRAFT
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        if journal.with_name(journal.name + suffix).exists():
            shutil.copyfile(journal.with_name(journal.name + suffix), path.with_name(path.name + suffix))
    with closing(open_database(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")  # brings in what a killed process left in the log
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("PRAGMA temp.cache_size = -49152")
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        _check_version(db, journal)
        if "said" not in {row[1] for row in db.execute("PRAGMA table_info(post)")}:  # A journal from before there was.
            db.execute("ALTER TABLE post ADD COLUMN said TEXT")
        yield db


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Remember something about the destination."""
    db.execute("INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))


def get_meta(db: sqlite3.Connection, name: str) -> str | None:
    """What was remembered under a name."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


@contextmanager
def only_one(destination: Path) -> Iterator[None]:
    """Keep a second process from working on the same destination; a killed one lets go by itself.

    Raises:
        OrganizeError: Another process is at work there.
    """
    with locks.only_one(destination, destination / FOLDER / LOCK, OrganizeError):
        yield


@contextmanager
def in_one_line(destination: Path) -> Iterator[None]:
    """Turn what goes wrong with a destination's drive or journal into one line.

    Raises:
        OrganizeError: The drive is full, read-only or fails, or the journal is damaged.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        own = destination / FOLDER
        for path in (destination, own, own / LOCK, own / NAME):
            if path.exists() and not os.access(path, os.W_OK):
                raise OrganizeError(_("{path}: read-only; make it writable and try again").format(path=path)) from error
        place = getattr(error, "filename", None) or destination
        if _is_for_want_of_space(error, destination):
            raise OrganizeError(
                _("{path}: no space left; nothing is lost, free some and try again").format(path=place)
            ) from error
        cause = cause_of(error)
        raise OrganizeError(
            _("{path}: {cause}; nothing is lost, try again to go on").format(path=place, cause=cause)
        ) from error
    except sqlite3.DatabaseError as error:
        raise OrganizeError(f"{journal_path(destination)}: {error}") from error


def _is_for_want_of_space(error: OSError | sqlite3.OperationalError, destination: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    # SQLite calls it a disk I/O error where its log cannot grow.
    return "full" in str(error) or (destination.exists() and shutil.disk_usage(destination).free < _LITTLE)


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        raise OrganizeError(_("{path}: not a journal of this version of hashtagger").format(path=path))
