"""Landing: what was staged gets its names in the tree, and nothing that is there is ever overwritten.

Whatever is found at a planned path is ours, as its hash tells, or it is somebody else's: then ours gets a number.
"""

import sqlite3
from itertools import count
from pathlib import Path, PurePosixPath

from hashtagger.organize import files, names
from hashtagger.organize.journal import State
from hashtagger.organize.stage import SIDECAR, Job, UnreadableError, stage_copy


class Lander:
    """Brings staged files to their places; nothing else puts files into the tree, and one thread does this."""

    def __init__(self, db: sqlite3.Connection, destination: Path, *, embed: bool, interrupted: bool) -> None:
        """Get ready to land.

        Args:
            db: The destination's journal.
            destination: Root of the sorted tree.
            embed: Whether photos' copies get the XMP inside too.
            interrupted: Whether an earlier run did not end, so that it may have left files that are torn.
        """
        self._db, self._destination, self._embed, self._interrupted = db, destination, embed, interrupted
        self._made: set[int] = set()

    def land(self, jobs: list[Job]) -> None:
        """Bring a staged batch to its places; what cannot be brought has its ``error`` set then."""
        ready = [job for job in jobs if not job.error]
        self._write_down(ready)
        for job in ready:
            if not self._land_freely(job):
                self._land(job)
        numbers = ",".join(str(job.number) for job in ready if not job.error)
        self._db.execute(
            f"UPDATE place SET state = {State.LANDED} WHERE state = {State.PLANNED} AND file IN ({numbers})"
        )

    def _write_down(self, jobs: list[Job]) -> None:
        """Put a batch's hashes and the folders it needs into the journal, then make the folders."""
        self._db.execute("BEGIN")
        if jobs:  # One statement for all: after each, this thread would have to wait for those that stage.
            self._db.execute(
                f"""UPDATE file SET content = v.column2, digest = v.column3, sidecar = v.column4
                    FROM (VALUES {",".join(["(?, ?, ?, ?)"] * len(jobs))}) AS v WHERE id = v.column1""",
                [x for job in jobs for x in (job.number, job.content, job.digest, job.sidecar_digest)],
            )
        places = (place for job in jobs for place in job.places)
        folders = {place.folder: PurePosixPath(place.path) for place in places if place.folder not in self._made}
        for path in folders.values():
            missing = [(str(part),) for part in (path, *path.parents) if not (self._destination / part).exists()]
            self._db.executemany("INSERT OR IGNORE INTO made VALUES(?)", missing)
        self._db.execute("COMMIT")
        for folder, path in folders.items():
            (self._destination / path).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def _land_freely(self, job: Job) -> bool:
        """Land a file the usual way; ``False`` when a name is taken or a link cannot be made."""
        try:
            for place in job.places:
                final = place.under(self._destination)
                if not files.link(job.origin, final):
                    return False
                if place.xmp and job.sidecar:
                    _put_sidecar(job, final + SIDECAR)
        except FileExistsError:
            return False
        job.clear(final)
        return True

    def _land(self, job: Job) -> None:
        """Land a file the thorough way; where something else is in the way, under a number."""
        if job.origin != job.stage and not files.link(job.origin, job.stage):
            # The drive links to other files of that folder, but not to this one.
            try:
                stage_copy(job, self._embed)
            except UnreadableError as error:
                job.error = str(error)
                return
            self._write_down([job])
        job.origin = job.stage
        for planned in job.places:
            place, number = planned, 1
            while not self._land_at(job, (final := place.under(self._destination)), place.xmp):
                name, number = self._free_name(place.folder, planned.name, number + 1)
                self._db.execute(
                    "UPDATE place SET key = ?, name = ? WHERE folder = ? AND key = ?",
                    (names.key(name), name, place.folder, place.key),
                )
                place = place._replace(key=names.key(name), name=name)
        job.clear(final)

    def _free_name(self, folder: int, name: str, start: int) -> tuple[str, int]:
        """Find the first free numbered name in a folder, counting from ``start``; gives the name and its number."""
        taken = "SELECT 1 FROM place WHERE folder = ? AND key = ?"
        candidates = ((names.numbered(name, number), number) for number in count(start))
        return next(one for one in candidates if not self._db.execute(taken, (folder, names.key(one[0]))).fetchone())

    def _land_at(self, job: Job, final: str, with_sidecar: bool) -> bool:
        """Land a file with its sidecar; ``False`` when either name is taken by something that is not ours."""
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
        if there != job.sidecar:  # A run was killed as it wrote it.
            beside.unlink()
            _put_sidecar(job, str(beside))
    return True


def _put_sidecar(job: Job, beside: str) -> None:
    """Write a sidecar, or link to it where it has been written already.

    It is not staged: that would take longer than to write it, and of a torn one its beginning tells that it is ours.
    """
    if not job.beside or not files.link(job.beside, beside):
        files.write(job.sidecar, beside)
        job.beside = beside
