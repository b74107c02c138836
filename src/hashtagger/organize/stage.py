"""Staging: each file of a plan is made ready under the destination's own folder before it lands in the tree."""

import hashlib
import os
import shutil
import sqlite3
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hashtagger.errors import cause_of
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.embed import embed
from hashtagger.organize.files import Fingerprint
from hashtagger.organize.intake import media_of
from hashtagger.organize.journal import Sidecar, State
from hashtagger.organize.sidecar import Description, render
from hashtagger.posts import sniff

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SIDECAR = ".xmp"
WORKERS = min(4, 2 * (os.cpu_count() or 1))
"""More than processors, as some wait for the drive."""
_BATCH_FILES = 512
_BATCH_BYTES = 1 << 28
STAGE_FOLDERS = 16
"""Staging is spread over some folders, as threads that change one folder at a time wait for each other."""
_TOGETHER = 16
"""Files that a thread is given at once: a thread costs more to wake than a link to make."""


class UnreadableError(Exception):
    """A source file that cannot be read; the others can."""


class Place(NamedTuple):
    """A place in the tree: its folder's row, its key there, whether with the sidecar, its folder's path, its name."""

    folder: int
    key: str
    xmp: bool
    path: str
    name: str

    def under(self, destination: Path) -> str:
        """Its path; a text, as a Path takes longer to make than the file to land."""
        return f"{destination}{os.sep}{self.path}{os.sep}{self.name}"


@dataclass(slots=True)
class Job:
    """One file of the plan, the places it has yet to reach, and what staging has made of it.

    Attributes:
        number: Its row in the journal; the fields up to ``sidecar_digest`` are that row's columns.
        source: The file, or the archive of ``member``.
        taken_at: ISO 8601.
        description: What its sidecar says.
        stage: Path at which it may be made ready.
        places: What it has yet to reach.
        there: Paths at which the file may be already, from an earlier run.
        origin: What the places get a link to: the file at ``stage``, or the source itself.
        sidecar: Its XMP, where it gets one.
        beside: A path at which that has been written already, for the other places to link to; else ``""``.
        error: Why it cannot be brought, else ``""``.
    """

    number: int
    name: str
    kind: str
    source: str
    member: str
    size: int | None
    mtime: int
    how: str
    content: str | None
    digest: str | None
    sidecar_digest: str | None
    taken_at: str
    description: Description
    stage: str
    places: list[Place]
    there: list[str]
    origin: str = ""
    sidecar: bytes = b""
    beside: str = ""
    error: str = ""

    @property
    def location(self) -> str:
        """Name the source for the user."""
        return media_of(self.name, self.kind, self.source, self.member, self.size).location

    @property
    def fingerprint(self) -> Fingerprint:
        """What tells whether a path holds it."""
        return Fingerprint(self.digest, self.source, self.size, self.mtime)

    def clear(self, final: str) -> None:
        """Remove what was made ready, once every place has it, ``final`` as the last."""
        if self.origin == self.stage:
            files.remove(self.stage, final)


def staged_batches(
    db: sqlite3.Connection, pool: "ThreadPoolExecutor", destination: Path, stage: Path, top: str, with_xmp: bool
) -> Iterator[list[Job]]:
    """Stage what a journal still plans, batch after batch, the next one while this one lands.

    Raises:
        OSError: Staging cannot be written to.
    """
    stager = _Stager(with_xmp)
    waiting = None
    for batch in _batches(db, destination, stage, top):
        parts = (batch[start : start + _TOGETHER] for start in range(0, len(batch), _TOGETHER))
        staging = [pool.submit(copy_context().run, stager.stage_all, part) for part in parts]
        if waiting is not None:
            yield [job for future in waiting for job in future.result()]
        waiting = staging
    if waiting is not None:
        yield [job for future in waiting for job in future.result()]


def _batches(db: sqlite3.Connection, destination: Path, stage: Path, top: str) -> Iterator[list[Job]]:
    last = 0
    while True:
        rows = db.execute(
            """SELECT f.id, f.size FROM file f WHERE f.id > ? AND EXISTS
               (SELECT 1 FROM place p WHERE p.file = f.id AND p.state = ?) ORDER BY f.id LIMIT ?""",
            (last, State.PLANNED, _BATCH_FILES),
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
    planned: dict[int, list[Place]] = defaultdict(list)
    reached: dict[int, list[Place]] = defaultdict(list)
    for number, state, *place in db.execute(
        f"""SELECT p.file, p.state, d.id, p.key, p.xmp = {Sidecar.WANTED}, d.path, p.name
            FROM place p JOIN folder d ON d.id = p.folder WHERE p.file {wanted} ORDER BY p.file, d.id""",
        numbers,
    ):
        (planned if state == State.PLANNED else reached)[number].append(Place(*place))
    rows = db.execute(
        f"""SELECT f.id, f.name, f.kind, f.path, f.member, f.size, f.mtime, f.how, f.content, f.digest, f.sidecar,
            o.taken_at, o.guess, o.caption, o.permalink, o.place FROM file f JOIN post o ON o.id = f.post
            WHERE f.id {wanted} ORDER BY f.id""",
        numbers,
    )
    for number, name, kind, path, member, size, mtime, how, content, digest, sidecar, taken_at, guess, *said in rows:
        caption, permalink, spot = said
        description = Description(tuple(tags[number]), top, caption, None if guess else taken_at, permalink, spot)
        staged = f"{stage}{os.sep}{number // _TOGETHER % STAGE_FOLDERS}{os.sep}{number}"
        # What was never written down cannot be there.
        maybe = [*reached[number], *planned[number]] if digest or sidecar or number in reached else []
        there = [place.under(destination) for place in maybe]
        yield Job(
            number, name, kind, path, member, size, mtime, how, content, digest, sidecar,
            taken_at, description, staged, planned[number], there,
        )  # fmt: skip


@dataclass
class _Stager:
    """Makes files ready, in several threads at once.

    Attributes:
        with_xmp: Whether photos' copies get the XMP inside too.
        linkable: Folders of sources whose files the destination's drive can link to.
    """

    with_xmp: bool
    linkable: set[str] = field(default_factory=set)

    def stage_all(self, jobs: list[Job]) -> list[Job]:
        for job in jobs:
            self._stage(job)
        return jobs

    def _stage(self, job: Job) -> None:
        try:
            if not _stage_again(job) and not self._stage_link(job):
                stage_copy(job, self.with_xmp)
        except UnreadableError as error:
            job.error = _why_gone(job) if job.there and not os.path.lexists(job.source) else str(error)
            Path(job.stage).unlink(missing_ok=True)
            return
        # Of what travels along with a photo, only RAW files are opened on their own.
        described = job.kind != "other" or sniff.extension(job.name) in sniff.RAW
        if described and any(place.xmp for place in job.places):
            _describe(job)

    def _stage_link(self, job: Job) -> bool:
        """Make a link to the source, where one is asked for and can be had."""
        if job.member or job.how == "copy":
            return False
        source = job.source
        try:
            found = os.lstat(source)
            if stat.S_ISLNK(found.st_mode):
                source = os.path.realpath(source)
                found = os.stat(source)  # noqa: PTH116
        except OSError as error:
            raise UnreadableError(cause_of(error)) from error
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(_("no such file"))
        if (found.st_size, found.st_mtime_ns) != (job.size, job.mtime):
            raise UnreadableError(_("changed since it was planned"))
        folder = source.rpartition(os.sep)[0]
        if job.how == "symlink":
            try:
                Path(job.stage).symlink_to(job.source)
            except OSError:
                return False  # Windows grants it to few.
            job.origin = job.stage
        elif folder in self.linkable:
            job.origin = source
        elif files.link(source, job.stage):
            self.linkable.add(folder)
            job.origin = job.stage
        else:
            return False
        job.content = job.digest = None
        return True


def _stage_again(job: Job) -> bool:
    """Stage a file from where an earlier run brought it, so that it stays one file with several names."""
    for path in job.there:
        if job.fingerprint.is_at(Path(path)):
            if not files.link(path, job.stage):
                shutil.copy2(path, job.stage, follow_symlinks=False)
            job.origin = job.stage
            return True
    return False


def _why_gone(job: Job) -> str:
    """Why a file cannot be brought that an earlier run brought and whose source is gone."""
    changed = next(filter(os.path.lexists, job.there), None)
    if changed is None:
        return _("neither in the tree any more nor at its source; put it back there")
    return _("changed in the tree since, so it gets no more places: {path}").format(path=changed)


def _describe(job: Job) -> None:
    """Render the sidecar, or take the one that an earlier run has brought, so that it stays one file too."""
    for path in job.there if job.sidecar_digest else ():
        beside = Path(path + SIDECAR)
        if beside.is_file() and files.digest_at(beside) == job.sidecar_digest:
            job.sidecar, job.beside = beside.read_bytes(), str(beside)
            return
    job.sidecar = render(job.description)
    job.sidecar_digest = hashlib.sha256(job.sidecar).hexdigest()


def stage_copy(job: Job, with_xmp: bool) -> None:
    """Make a copy of the source, with the XMP inside where it is a photo and that is asked for.

    Raises:
        UnreadableError: The source cannot be read.
        OSError: The copy cannot be written.
    """
    staged = Path(job.stage)
    if with_xmp and job.kind == "photo":
        data = b"".join(_chunks(job))
        job.content = hashlib.sha256(data).hexdigest()
        job.digest = files.write_checked([embed(data, job.description)], staged)
    else:
        job.content = job.digest = files.write_checked(_chunks(job), staged)
    if not job.member:
        shutil.copystat(job.source, staged)
    else:
        moment = datetime.fromisoformat(job.taken_at).timestamp()
        os.utime(staged, (moment, moment))
    job.origin = job.stage


def _chunks(job: Job) -> Iterator[bytes]:
    """Read a source; whatever goes wrong with it (an archive can fail in many ways) is an UnreadableError."""
    try:
        # Asking for little more than there is spares the system from clearing a megabyte for each photo.
        size = min((job.size or files.CHUNK) + 1, files.CHUNK)
        with media_of(job.name, job.kind, job.source, job.member, job.size).open() as file:
            while chunk := file.read(size):
                yield chunk
    except Exception as error:
        raise UnreadableError(cause_of(error)) from error
