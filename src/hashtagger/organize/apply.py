"""Applying a plan: the hashes of each staged batch are recorded in the journal, then the batch lands in the tree."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hashtagger.organize import files
from hashtagger.organize.files import Fingerprint
from hashtagger.organize.journal import FOLDER, THERE, Sidecar, State, places_of
from hashtagger.organize.land import Lander
from hashtagger.organize.release import release
from hashtagger.organize.stage import SIDECAR, STAGE_FOLDERS, WORKERS, staged_batches
from hashtagger.posts.post import Problem

_SYNC_SECONDS = 60
STAGE = "stage"


def apply(
    db: sqlite3.Connection, destination: Path, top: str, *, move: bool, embed: bool, tick: Callable[[int], object]
) -> list[Problem]:
    """Carry out the plan in a journal.

    Args:
        db: The destination's journal.
        destination: Root of the sorted tree.
        top: Name of the root tag for photo managers.
        move: Whether to delete the sources of moved files.
        embed: Whether to embed the XMP in copies of photos too.
        tick: Called with the number of files done since the last call.

    Returns:
        Source files that could not be read, and so stay planned, or that could not be deleted.

    Raises:
        OSError: The destination cannot be written (full or gone); another run continues from there.
    """
    from concurrent.futures import ThreadPoolExecutor

    stage = destination / FOLDER / STAGE
    interrupted = stage.exists()
    files.remove_tree(stage)
    for number in range(STAGE_FOLDERS):
        (stage / str(number)).mkdir(parents=True, exist_ok=True)
    _replan_torn(db, destination)
    _remove_sidecars(db, destination)
    problems: list[Problem] = []
    lander = Lander(db, destination, embed=embed, interrupted=interrupted)
    synced = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for jobs in staged_batches(db, pool, destination, stage, top, embed):
                lander.land(jobs)
                problems += [Problem(job.location, job.error) for job in jobs if job.error]
                if time.monotonic() - synced > _SYNC_SECONDS:
                    _make_safe(db)
                    synced = time.monotonic()
                tick(len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    _remove_surplus(db, destination)
    remove_empty(db, destination)
    _make_safe(db)
    if move:
        problems += release(db, destination)
    files.remove_tree(stage)
    return problems


def _replan_torn(db: sqlite3.Connection, destination: Path) -> None:
    """After an interrupted run, plan landed files again that a power cut left incomplete.

    Their remains are removed when the whole file lands.
    """
    rows = db.execute(
        """SELECT p.folder, p.key, p.xmp, d.path || '/' || p.name, f.digest, f.path, f.size, f.mtime FROM place p
           JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.state = ?""",
        (State.LANDED,),
    ).fetchall()
    for folder, key, xmp, place, *known in rows:
        final = destination / place
        if not Fingerprint(*known).is_at(final) or (xmp and files.is_empty(_beside(final))):
            db.execute("UPDATE place SET state = ? WHERE folder = ? AND key = ?", (State.PLANNED, folder, key))


def _remove_sidecars(db: sqlite3.Connection, destination: Path) -> None:
    """Remove surplus and stale sidecars of ours, unless edited; a stale one also stays if its photo was edited."""
    rows = db.execute(
        """SELECT p.folder, p.key, p.xmp, p.state, d.path || '/' || p.name, f.sidecar, f.digest, f.path, f.size,
           f.mtime FROM place p JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.xmp IN (?, ?)""",
        (Sidecar.SURPLUS, Sidecar.STALE),
    ).fetchall()
    db.execute("BEGIN")
    for folder, key, xmp, state, place, sidecar, *known in rows:
        final = destination / place
        stale = xmp == Sidecar.STALE
        if not stale or not os.path.lexists(final) or Fingerprint(*known).is_at(final):
            beside = _beside(final)
            if beside.is_file() and (files.is_empty(beside) or files.digest_at(beside) == sidecar):
                beside.unlink()
            if stale and state != State.SURPLUS and not os.path.lexists(beside):
                state = State.PLANNED  # Landing the file again writes its new sidecar.
        db.execute(
            "UPDATE place SET xmp = ?, state = ? WHERE folder = ? AND key = ?",
            (Sidecar.WANTED if stale else Sidecar.NONE, state, folder, key),
        )
    db.execute("COMMIT")


def _make_safe(db: sqlite3.Connection) -> None:
    """Flush landed files to the drive, and only then mark them as safe."""
    if db.execute("SELECT 1 FROM place WHERE state = ? LIMIT 1", (State.LANDED,)).fetchone():
        files.sync()
        db.execute("UPDATE place SET state = ? WHERE state = ?", (State.SAFE, State.LANDED))


def _remove_surplus(db: sqlite3.Connection, destination: Path) -> None:
    """Remove files from places that are no longer wanted, each only if it is at another place too."""
    rows = db.execute(
        """SELECT p.folder, p.key, d.path || '/' || p.name, f.id, f.sidecar, f.digest, f.path, f.size, f.mtime
           FROM place p JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.state = ?""",
        (State.SURPLUS,),
    ).fetchall()
    for folder, key, place, number, sidecar, *known in rows:
        final, ours, other = destination / place, Fingerprint(*known), None
        if ours.is_at(final):
            others = places_of(db, destination, number, THERE)
            other = next((path for path in others if files.is_one(path, final) or ours.is_at(path)), None)
            if other is None:
                continue  # No other place has the file.
        if other or not os.path.lexists(final):
            beside = _beside(final)  # Removed first: if the run is killed here, the next one still finds the photo.
            if sidecar and beside.is_file() and files.digest_at(beside) == sidecar:
                beside.unlink()
        if other:
            files.remove(final, other)
        db.execute("DELETE FROM place WHERE folder = ? AND key = ?", (folder, key))


def remove_empty(db: sqlite3.Connection, destination: Path) -> None:
    """Remove the folders that we created and that are empty now."""
    for (path,) in db.execute("SELECT path FROM made ORDER BY LENGTH(path) DESC").fetchall():
        with suppress(OSError):
            (destination / path).rmdir()
            db.execute("DELETE FROM made WHERE path = ?", (path,))


def _beside(path: Path) -> Path:
    """Return the path of a file's sidecar."""
    return path.with_name(path.name + SIDECAR)
