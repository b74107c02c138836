"""Landing: staged files get their names in the tree, and no existing file is ever overwritten.

A file found at a planned path is either ours, as its hash shows, or somebody else's; then ours gets a numbered name.
"""

import sqlite3
from itertools import count
from pathlib import Path

from hashtagger.organize import files, names
from hashtagger.organize.journal import State
from hashtagger.organize.stage import SIDECAR, Job, UnreadableError, stage_copy


class Lander:
    """Puts staged files into their places. It alone adds media to the tree, and runs in a single thread."""

    def __init__(self, db: sqlite3.Connection, destination: Path, *, embed: bool, interrupted: bool) -> None:
        """Initialize the lander.

        Args:
            db: The destination's journal.
            destination: Root of the sorted tree.
            embed: Whether to embed the XMP in copies of photos too.
            interrupted: Whether an earlier run was interrupted, so that it may have left incomplete files.
        """
        self._db, self._destination, self._embed, self._interrupted = db, destination, embed, interrupted
        self._made: set[str] = set()

    def land(self, jobs: list[Job]) -> None:
        """Put a staged batch into its places, setting ``error`` on the jobs for which that fails."""
        ready = [job for job in jobs if not job.error]
        self._remove_outdated(ready)
        self._record(ready)
        for job in ready:
            if not self._land_by_links(job):
                self._land_with_checks(job)
        numbers = ",".join(str(job.number) for job in ready if not job.error)
        self._db.execute(
            f"UPDATE place SET state = {State.LANDED} WHERE state = {State.PLANNED} AND file IN ({numbers})"
        )

    def _remove_outdated(self, jobs: list[Job]) -> None:
        """Remove our copies of what the sources of staged files were before they were edited."""
        numbers = ",".join(str(job.number) for job in jobs)
        rows = self._db.execute(
            f"""SELECT d.path || '/' || p.name, f.digest FROM file f JOIN place p ON p.file = f.id
                JOIN folder d ON d.id = p.folder
                WHERE f.id IN ({numbers}) AND f.content IS NULL AND f.digest IS NOT NULL"""
        ).fetchall()
        for place, digest in rows:
            final = self._destination / place
            if final.is_file() and files.digest_at(final) == digest:
                files.remove(final)

    def _record(self, jobs: list[Job]) -> None:
        """Record a batch's hashes and new folders in the journal, then create the folders."""
        self._db.execute("BEGIN")
        if jobs:  # One statement for all, as after each one this thread has to wait for the staging threads.
            self._db.execute(
                f"""UPDATE file SET content = v.column2, digest = v.column3, sidecar = v.column4
                    FROM (VALUES {",".join(["(?, ?, ?, ?)"] * len(jobs))}) AS v WHERE id = v.column1""",
                [x for job in jobs for x in (job.number, job.content, job.digest, job.sidecar_digest)],
            )
        folders = {place.parent for job in jobs for place in job.places} - self._made
        for folder in folders:
            path = Path(folder).relative_to(self._destination)
            missing = [(part.as_posix(),) for part in (path, *path.parents) if not (self._destination / part).exists()]
            self._db.executemany("INSERT OR IGNORE INTO made VALUES(?)", missing)
        self._db.execute("COMMIT")
        for folder in folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._made |= folders

    def _land_by_links(self, job: Job) -> bool:
        """Land a file by hard links only; return ``False`` if a name is taken or a link cannot be made."""
        try:
            for place in job.places:
                final = place.path
                if not files.link(job.origin, final):
                    return False
                if place.xmp and job.sidecar:
                    _put_sidecar(job, final + SIDECAR)
        except FileExistsError:
            return False
        job.clear(final)
        return True

    def _land_with_checks(self, job: Job) -> None:
        """Land a file with all checks and fallbacks; if something else has its name, under a numbered one."""
        if job.origin != job.stage and not files.link(job.origin, job.stage):
            # Staging found other files in that source folder to be linkable, but this one is not.
            try:
                stage_copy(job, self._embed)
            except UnreadableError as error:
                job.error = str(error)
                return
            self._record([job])
        job.origin = job.stage
        for planned in job.places:
            place, number = planned, 1
            while not self._land_at(job, (final := place.path), place.xmp):
                name, number = self._free_name(place.folder, planned.name, number + 1)
                self._db.execute(
                    "UPDATE place SET key = ?, name = ? WHERE file = ? AND folder = ?",
                    (names.key(name), name, job.number, place.folder),
                )
                place = place._replace(name=name)
        job.clear(final)

    def _free_name(self, folder: int, name: str, start: int) -> tuple[str, int]:
        """Return the first numbered name from ``start`` on that no place in a folder has, and its number."""
        taken = "SELECT 1 FROM place WHERE folder = ? AND key = ?"
        candidates = ((names.numbered(name, number), number) for number in count(start))
        return next(one for one in candidates if not self._db.execute(taken, (folder, names.key(one[0]))).fetchone())

    def _land_at(self, job: Job, final: str, with_sidecar: bool) -> bool:
        """Land a file with its sidecar; return ``False`` if something that is not ours has either name."""
        if not self._land_file(job, Path(final)):
            return False
        if with_sidecar and job.sidecar and not _land_sidecar(job, Path(final + SIDECAR)):
            files.remove(final, job.origin)
            return False
        return True

    def _land_file(self, job: Job, final: Path) -> bool:
        try:
            _put(job, final)
        except FileExistsError:
            if job.fingerprint.is_at(final):
                return True
            dead_link = job.how == "symlink" and final.is_symlink() and not final.exists()
            if not dead_link and not (self._interrupted and files.is_torn(final, Path(job.origin))):
                return False
            files.remove(final)
            _put(job, final)
        return True


def _put(job: Job, final: Path) -> None:
    if not files.link(job.origin, final):
        files.duplicate(Path(job.origin), final, Path(job.origin + ".copy"))


def _land_sidecar(job: Job, beside: Path) -> bool:
    try:
        _put_sidecar(job, str(beside))
    except FileExistsError:
        there = beside.read_bytes() if beside.is_file() else None
        if there is None or not job.sidecar.startswith(there):
            return False
        if there != job.sidecar:  # A run was killed while writing it.
            beside.unlink()
            _put_sidecar(job, str(beside))
    return True


def _put_sidecar(job: Job, beside: str) -> None:
    """Write a sidecar, or hard-link to it if it has already been written elsewhere.

    It is not staged, as writing it directly is faster, and a partial one is recognized as ours by its first bytes.
    """
    if not job.beside or not files.link(job.beside, beside):
        files.write(job.sidecar, beside)
        job.beside = beside
