"""Carrying out a plan: each staged batch is written into the journal with its hashes, then lands in the tree.

Staging runs in a few threads; only this module touches the tree. Whatever is found at a planned path is either nothing,
or something whose hash tells whether it is ours.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath

from hashtagger.errors import cause_of
from hashtagger.i18n import _
from hashtagger.organize import files, names
from hashtagger.organize.journal import FOLDER, RESTORING, Sidecar, State
from hashtagger.organize.stage import SIDECAR, STAGE_FOLDERS, WORKERS, Job, UnreadableError, stage_copy, staged_batches
from hashtagger.posts.post import Problem

_SYNC_SECONDS = 60
STAGE = "stage"


def apply(
    db: sqlite3.Connection, destination: Path, top: str, *, move: bool, embed: bool, tick: Callable[[int], object]
) -> list[Problem]:
    """Carry out what a journal plans.

    Args:
        db: The destination's journal.
        destination: Root of the sorted tree.
        top: Name of the tag above all tags, for photo managers.
        move: Whether sources that are to be moved may be deleted.
        embed: Whether photos' copies get the XMP inside too.
        tick: Called with the number of files done since.

    Returns:
        Source files that could not be read, which stay planned, or not be deleted.

    Raises:
        OSError: The destination cannot be written (full, gone); running again goes on from there.
    """
    stage = destination / FOLDER / STAGE
    interrupted = stage.exists()
    files.remove_tree(stage)
    for number in range(STAGE_FOLDERS):
        (stage / str(number)).mkdir(parents=True, exist_ok=True)
    _recheck(db, destination)
    _remove_sidecars(db, destination)
    problems: list[Problem] = []
    made: set[int] = set()
    synced = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for jobs in staged_batches(db, pool, destination, stage, top, embed):
                ready = [job for job in jobs if not job.error]
                _write_down(db, destination, ready, made)
                for job in ready:
                    if not _land_freely(str(destination), job):
                        _land(db, destination, job, embed, interrupted)
                problems += [Problem(job.location, job.error) for job in jobs if job.error]
                _mark(db, [job for job in ready if not job.error])
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
        problems += _release(db, destination)
    shutil.rmtree(stage)
    return problems


def _recheck(db: sqlite3.Connection, destination: Path) -> None:
    """After a run that did not end: plan again what did not survive it.

    A power cut can leave a file empty or torn that the journal has as landed, or, where its last words are lost too,
    as planned. It goes when the whole one lands.
    """
    rows = db.execute(
        """SELECT p.folder, p.key, p.xmp, d.path, p.name, f.digest, f.path, f.size, f.mtime FROM place p
           JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.state = ?""",
        (State.LANDED,),
    ).fetchall()
    for folder, key, xmp, path, name, digest, source, size, mtime in rows:
        final = destination / path / name
        whole = files.is_ours(final, digest, Path(source), size, mtime)
        if not whole or (xmp and files.is_empty(final.with_name(name + SIDECAR))):
            db.execute("UPDATE place SET state = ? WHERE folder = ? AND key = ?", (State.PLANNED, folder, key))


def _remove_sidecars(db: sqlite3.Connection, destination: Path) -> None:
    """Take our sidecars away where they are surplus or stale; where it or its photo was edited, one stays."""
    rows = db.execute(
        """SELECT p.folder, p.key, p.xmp, p.state, d.path, p.name, f.sidecar, f.digest, f.path, f.size, f.mtime
           FROM place p JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder
           WHERE p.xmp IN (?, ?)""",
        (Sidecar.SURPLUS, Sidecar.STALE),
    ).fetchall()
    db.execute("BEGIN")
    for folder, key, xmp, state, path, name, sidecar, digest, source, size, mtime in rows:
        final = destination / path / name
        beside = final.with_name(name + SIDECAR)
        stale = xmp == Sidecar.STALE
        if not stale or files.is_ours(final, digest, Path(source), size, mtime):
            if beside.is_file() and (files.is_empty(beside) or files.digest_at(beside) == sidecar):
                beside.unlink()
            if stale and state != State.SURPLUS and not os.path.lexists(beside):
                state = State.PLANNED  # It is reached once more.
        db.execute(
            "UPDATE place SET xmp = ?, state = ? WHERE folder = ? AND key = ?",
            (Sidecar.WANTED if stale else Sidecar.NONE, state, folder, key),
        )
    db.execute("COMMIT")


def _write_down(db: sqlite3.Connection, destination: Path, jobs: list[Job], made: set[int]) -> None:
    """Put a batch's hashes and the folders it needs into the journal, then make the folders."""
    db.execute("BEGIN")
    if jobs:  # In one statement, as with many this thread would wait for the others after each.
        db.execute(
            f"""UPDATE file SET content = v.column2, digest = v.column3, sidecar = v.column4
                FROM (VALUES {",".join(["(?, ?, ?, ?)"] * len(jobs))}) AS v WHERE id = v.column1""",
            [x for job in jobs for x in (job.number, job.content, job.digest, job.sidecar_digest)],
        )
    folders = {one.folder: PurePosixPath(one.path) for job in jobs for one in job.places if one.folder not in made}
    for path in folders.values():
        missing = [(str(part),) for part in (path, *path.parents) if not (destination / part).exists()]
        db.executemany("INSERT OR IGNORE INTO made VALUES(?)", missing)
    db.execute("COMMIT")
    for folder, path in folders.items():
        (destination / path).mkdir(parents=True, exist_ok=True)
        made.add(folder)


def _land_freely(destination: str, job: Job) -> bool:
    """Bring a staged file to its places; ``False`` when a name is taken or a link cannot be made."""
    try:
        for _folder, _key, xmp, path, name in job.places:
            final = f"{destination}{os.sep}{path}{os.sep}{name}"
            if not files.link(job.origin, final):
                return False
            if xmp and job.sidecar:
                _put_beside(job, final + SIDECAR)
    except FileExistsError:
        return False
    job.clear(final)
    return True


def _land(db: sqlite3.Connection, destination: Path, job: Job, with_xmp: bool, interrupted: bool) -> None:
    """Bring a staged file to each of its places; where something else is in the way, under a number."""
    if job.origin != job.stage and not files.link(job.origin, job.stage):
        # The drive links to files of that folder, but not to this one.
        try:
            stage_copy(job, with_xmp)
        except UnreadableError as error:
            job.error = str(error)
            return
        _write_down(db, destination, [job], set())
    job.origin = job.stage
    for folder, key, xmp, path, planned in job.places:
        old_key, name, number = key, planned, 1
        while not _land_at(job, (final := f"{destination}{os.sep}{path}{os.sep}{name}"), xmp, interrupted):
            name, number = _free_name(db, folder, planned, number + 1)
            db.execute(
                "UPDATE place SET key = ?, name = ? WHERE folder = ? AND key = ?",
                (names.key(name), name, folder, old_key),
            )
            old_key = names.key(name)
    job.clear(final)


def _free_name(db: sqlite3.Connection, folder: int, name: str, start: int) -> tuple[str, int]:
    """Find the first free numbered name in a folder, counting from ``start``; gives the name and its number."""
    taken = "SELECT 1 FROM place WHERE folder = ? AND key = ?"
    candidates = ((names.numbered(name, number), number) for number in count(start))
    return next(one for one in candidates if not db.execute(taken, (folder, names.key(one[0]))).fetchone())


def _land_at(job: Job, final: str, with_sidecar: bool, interrupted: bool) -> bool:
    """Land a file with its sidecar; ``False`` when either name is taken by something that is not ours."""
    try:
        _put(job.origin, final)
    except FileExistsError:
        if not _is_same(job, Path(final)):
            dead = job.how == "symlink" and Path(final).is_symlink() and not Path(final).exists()
            if not dead and not (interrupted and files.is_torn(Path(final), Path(job.origin))):
                return False
            files.remove(final)
            _put(job.origin, final)
    if job.sidecar and with_sidecar:
        beside = Path(final + SIDECAR)
        try:
            _put_beside(job, str(beside))
        except FileExistsError:
            there = beside.read_bytes() if beside.is_file() else None
            if there is None or not job.sidecar.startswith(there):
                Path(final).unlink()
                return False
            if there != job.sidecar:  # A run was killed as it wrote it.
                beside.unlink()
                _put_beside(job, str(beside))
    return True


def _put(staged: str, final: str) -> None:
    if not files.link(staged, final):
        files.duplicate(Path(staged), Path(final), Path(staged + ".copy"))


def _put_beside(job: Job, beside: str) -> None:
    """Write a sidecar, or link to it where it is already.

    It is written in place: staging twenty thousand takes longer than writing them, and one that is torn can be told.
    """
    if not job.beside or not files.link(job.beside, beside):
        files.write(job.sidecar, beside)
        job.beside = beside


def _is_same(job: Job, final: Path) -> bool:
    if job.digest is None and not Path(job.origin).is_symlink() and final.exists() and final.samefile(job.origin):
        return True
    return files.is_ours(final, job.digest, Path(job.source), job.size, job.mtime)


def _mark(db: sqlite3.Connection, jobs: list[Job]) -> None:
    numbers = ",".join(str(job.number) for job in jobs)
    db.execute(f"UPDATE place SET state = 1 WHERE state = 0 AND file IN ({numbers})")


def _make_safe(db: sqlite3.Connection) -> None:
    """Bring all to the drive, and only then call it safe."""
    if db.execute("SELECT 1 FROM place WHERE state = ? LIMIT 1", (State.LANDED,)).fetchone():
        files.sync()
        db.execute("UPDATE place SET state = ? WHERE state = ?", (State.SAFE, State.LANDED))


def _remove_surplus(db: sqlite3.Connection, destination: Path) -> None:
    """Take files away from where a later plan no longer wants them, each only while it is at another place too."""
    rows = db.execute(
        """SELECT p.folder, p.key, d.path, p.name, f.id, f.sidecar, f.digest, f.path, f.size, f.mtime FROM place p
           JOIN file f ON f.id = p.file JOIN folder d ON d.id = p.folder WHERE p.state = ?""",
        (State.SURPLUS,),
    ).fetchall()
    for folder, key, path, name, number, sidecar, digest, source, size, mtime in rows:
        final = destination / path / name
        if files.is_ours(final, digest, Path(source), size, mtime):
            wanted = db.execute(
                """SELECT d.path || '/' || p.name FROM place p JOIN folder d ON d.id = p.folder
                   WHERE p.file = ? AND p.state IN (1, 2)""",
                (number,),
            )
            for other in (destination / place for (place,) in wanted):
                if files.is_one(other, final) or files.is_ours(other, digest, Path(source), size, mtime):
                    break
            else:
                continue  # It is the last one.
            beside = final.with_name(name + SIDECAR)  # It goes first: a run that is killed here still finds its photo.
            if sidecar and beside.is_file() and files.digest_at(beside) == sidecar:
                beside.unlink()
            files.remove(final, other)
        db.execute("DELETE FROM place WHERE folder = ? AND key = ?", (folder, key))


def remove_empty(db: sqlite3.Connection, destination: Path) -> None:
    """Take away folders of ours that nothing is left in."""
    for (path,) in db.execute("SELECT path FROM made ORDER BY LENGTH(path) DESC").fetchall():
        with suppress(OSError):
            (destination / path).rmdir()
            db.execute("DELETE FROM made WHERE path = ?", (path,))


def _release(db: sqlite3.Connection, destination: Path) -> list[Problem]:
    """Delete the sources of moved files, each only when its copy is safe and it has not changed since."""
    rows = db.execute(
        """SELECT f.id, f.path, f.size, f.mtime, f.released, c.id, CASE WHEN c.id = f.id THEN c.digest END, d.path,
           p.name FROM file f JOIN file c ON c.id = COALESCE(f.same_as, f.id)
           JOIN place p ON p.file = c.id AND p.state = 2 JOIN folder d ON d.id = p.folder
           WHERE f.how = 'move' AND f.member = '' AND f.released < 2 GROUP BY f.id"""
    ).fetchall()
    problems: list[Problem] = []
    going: list[tuple[int, Path, Path]] = []
    digests: list[tuple[str, int]] = []
    gone: list[tuple[int]] = []
    for number, path, size, mtime, begun, stored, digest, folder, name in rows:
        source, final = Path(path), destination / folder / name
        if begun:  # An undo may have been killed at it.
            with suppress(OSError):
                source.with_name(RESTORING).unlink(missing_ok=True)
        if not os.path.lexists(source):
            if begun:  # a run was killed at it; else it was somebody else
                gone.append((number,))
            continue
        try:
            found = _verified(source, final, size, mtime, digest)
        except OSError as error:
            found = Problem(path, cause_of(error))
        if isinstance(found, Problem):
            problems.append(found)
        else:
            going.append((number, source, final))
            digests.append((found, stored))
    db.execute("BEGIN")
    db.executemany(
        "UPDATE file SET content = COALESCE(content, ?1), digest = COALESCE(digest, ?1) WHERE id = ?2", digests
    )
    db.executemany("UPDATE file SET released = 1 WHERE id = ?", [row[:1] for row in going])
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint")  # Undo brings back only what is written down, after a power cut too.
    for number, source, final in going:
        try:
            files.remove(source, final)
        except OSError as error:
            problems.append(Problem(str(source), cause_of(error)))
            continue
        gone.append((number,))
    db.execute("BEGIN")
    db.executemany("UPDATE file SET released = 0 WHERE id = ?", [row[:1] for row in rows])
    db.executemany("UPDATE file SET released = 2 WHERE id = ?", gone)
    db.execute("COMMIT")
    return problems


def _verified(source: Path, final: Path, size: int, mtime: int, digest: str | None) -> str | Problem:
    """The SHA-256 of a moved file at its place, or why its source has to stay."""
    if source.is_symlink():
        return Problem(str(source), _("is a link: not deleted"))
    if not final.exists():
        return Problem(str(final), _("missing: its source is not deleted"))
    if final.is_symlink():
        return Problem(str(source), _("its only copy is a link: not deleted"))
    if not files.is_unchanged(source, size, mtime):
        return Problem(str(source), _("changed since it was copied: not deleted"))
    found = files.digest_at(final)
    if not final.samefile(source) and found != (digest or files.digest_at(source)):
        return Problem(str(final), _("changed since it was copied: its source is not deleted"))
    return found
