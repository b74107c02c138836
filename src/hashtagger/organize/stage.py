"""Staging: each file of a plan is made ready under the destination's own folder before it lands in the tree."""

import hashlib
import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from hashtagger.organize import files
from hashtagger.organize.embed import embed
from hashtagger.organize.intake import media_of
from hashtagger.organize.journal import State
from hashtagger.organize.sidecar import Description, render
from hashtagger.posts.post import Media

SIDECAR = ".xmp"
_BATCH_FILES = 256
_BATCH_BYTES = 1 << 28
_WORKERS = min(4, os.cpu_count() or 1)


class UnreadableError(Exception):
    """A source file that cannot be read; the others can."""


@dataclass
class Job:
    """One file of the plan, the places it has yet to reach, and what staging has made of it.

    Attributes:
        number: Its row.
        places: For each place to reach its folder's row and path, and the file's name there.
        there: Paths at which the file may be already, from an earlier run.
        staged: The file made ready, and
        sidecar: its XMP, where it gets one.
        error: Why its source cannot be read, else ``""``.
    """

    number: int
    media: Media
    source: Path
    size: int | None
    mtime: int | None
    how: str
    taken_at: datetime
    description: Description
    content: str | None
    digest: str | None
    sidecar_digest: str | None
    staged: Path
    places: list[tuple[int, str, str]]
    there: list[Path]
    sidecar: Path | None = None
    error: str = ""


def staged_batches(
    db: sqlite3.Connection, destination: Path, stage: Path, top: str, with_xmp: bool
) -> Iterator[list[Job]]:
    """Stage what a journal still plans, batch after batch, the next one while this one lands.

    Raises:
        OSError: Staging cannot be written to.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        waiting = None
        try:
            for batch in _batches(db, destination, stage, top):
                staging = [pool.submit(_stage, job, with_xmp) for job in batch]
                if waiting is not None:
                    yield [future.result() for future in waiting]
                waiting = staging
            if waiting is not None:
                yield [future.result() for future in waiting]
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(db: sqlite3.Connection, destination: Path, stage: Path, top: str) -> Iterator[list[Job]]:
    last = 0
    while True:
        rows = db.execute(
            """SELECT f.id, f.size FROM file f WHERE f.id > ? AND EXISTS
               (SELECT 1 FROM place p WHERE p.file = f.id AND p.state = 0) ORDER BY f.id LIMIT ?""",
            (last, _BATCH_FILES),
        ).fetchall()
        if not rows:
            return
        batch, total = [], 0
        for number, size in rows:
            batch.append(number)
            total += size or 0
            if total > _BATCH_BYTES:
                break
        last = batch[-1]
        yield list(_jobs(db, batch, destination, stage, top))


def _jobs(db: sqlite3.Connection, numbers: list[int], destination: Path, stage: Path, top: str) -> Iterator[Job]:
    wanted = f"IN ({','.join('?' * len(numbers))})"
    tags: dict[int, dict[str, None]] = defaultdict(dict)
    for number, tag in db.execute(
        f"""SELECT COALESCE(f.same_as, f.id), t.name FROM file f JOIN post_tag pt ON pt.post = f.post
            JOIN tag t ON t.id = pt.tag WHERE f.id {wanted} OR f.same_as {wanted} ORDER BY f.id, pt.position""",
        numbers * 2,
    ):
        tags[number][tag] = None
    rows = db.execute(
        f"""SELECT f.id, f.name, f.kind, f.path, f.member, f.size, f.mtime, f.how, f.content, f.digest, f.sidecar,
            o.taken_at, o.guess, o.caption, o.permalink, o.place, p.state, d.id, d.path, p.name
            FROM file f JOIN post o ON o.id = f.post JOIN place p ON p.file = f.id JOIN folder d ON d.id = p.folder
            WHERE f.id {wanted} ORDER BY f.id, d.id""",
        numbers,
    )
    for number, group in groupby(rows, key=lambda row: row[0]):
        places = list(group)
        _n, name, kind, path, member, size, mtime, how, content, digest, sidecar, *said = places[0]
        taken_at, guess, caption, permalink, place = said[:5]
        description = Description(tuple(tags[number]), top, caption, None if guess else taken_at, permalink, place)
        # Nothing of a file can be there that was never written down.
        begun = digest or sidecar or any(row[-4] != State.PLANNED for row in places)
        yield Job(
            number, media_of(name, kind, path, member, size), Path(path), size, mtime, how,
            datetime.fromisoformat(taken_at), description, content, digest, sidecar, stage / str(number),
            [row[-3:] for row in places if row[-4] == State.PLANNED],
            [destination / row[-2] / row[-1] for row in places] if begun else [],
        )  # fmt: skip


def _stage(job: Job, with_xmp: bool) -> Job:
    try:
        if not _stage_again(job) and not _stage_link(job):
            _stage_copy(job, with_xmp and job.media.kind == "photo")
    except UnreadableError as error:
        job.error = str(error)
        job.staged.unlink(missing_ok=True)
        return job
    if job.media.kind != "other":
        _stage_sidecar(job)
    return job


def _stage_again(job: Job) -> bool:
    """Stage what an earlier run has brought already, so that it stays one file with several names."""
    for path in job.there:
        if files.is_ours(path, job.digest, job.source, job.size, job.mtime):
            _link_or_copy(path, job.staged)
            return True
    return False


def _stage_sidecar(job: Job) -> None:
    job.sidecar = job.staged.with_name(f"{job.number}{SIDECAR}")
    for path in job.there if job.sidecar_digest else ():
        beside = path.with_name(path.name + SIDECAR)
        if beside.is_file() and files.digest_at(beside) == job.sidecar_digest:
            _link_or_copy(beside, job.sidecar)
            return
    job.sidecar_digest = files.write(render(job.description), job.sidecar)


def _link_or_copy(path: Path, staged: Path) -> None:
    if not files.link(path, staged):
        shutil.copy2(path, staged, follow_symlinks=False)


def _stage_link(job: Job) -> bool:
    """Stage a link to the source where one is asked for and can be had."""
    if job.media.path is None or job.how == "copy":
        return False
    if not job.source.is_file():
        raise UnreadableError(os.strerror(2))
    if job.how == "symlink":
        try:
            job.staged.symlink_to(job.source)
        except OSError:
            return False  # Windows grants it to few.
    elif not files.link(job.source.resolve(), job.staged):
        return False
    job.content = job.digest = None
    return True


def _stage_copy(job: Job, with_xmp: bool) -> None:
    if with_xmp:
        data = b"".join(_chunks(job.media))
        job.content = hashlib.sha256(data).hexdigest()
        job.digest = files.write_checked([embed(data, job.description)], job.staged)
    else:
        job.content = job.digest = files.write_checked(_chunks(job.media), job.staged)
    if job.media.path is not None:
        shutil.copystat(job.media.path, job.staged)
    else:
        moment = job.taken_at.timestamp()
        os.utime(job.staged, (moment, moment))


def _chunks(media: Media) -> Iterator[bytes]:
    """Read a source; whatever goes wrong with it (an archive can fail in many ways) is an UnreadableError."""
    try:
        with media.open() as file:
            while chunk := file.read(files.CHUNK):
                yield chunk
    except Exception as error:
        raise UnreadableError(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
