"""Staging: each planned file is prepared in our own folder at the destination before it lands in the tree."""

import hashlib
import os
import shutil
import sqlite3
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
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
    from concurrent.futures import Future, ThreadPoolExecutor

SIDECAR = ".xmp"
WORKERS = min(4, 2 * (os.cpu_count() or 1))
"""More than there are processors, as some threads wait for the drive."""
_BATCH_FILES = 512
_BATCH_BYTES = 1 << 28
STAGE_FOLDERS = 16
"""Staged files are spread over several folders, as threads that modify the same folder wait for each other."""
_FILES_PER_TASK = 16
"""Files per task of a thread, as waking a thread takes longer than making a link."""


class UnreadableError(Exception):
    """A source file cannot be read, which does not stop the other files."""


class Place(NamedTuple):
    """A place in the tree: the folder's id and absolute path, the file's name, and whether it gets the sidecar.

    Paths are strings here, as creating a Path takes longer than landing the file.
    """

    folder: int
    parent: str
    name: str
    xmp: bool

    @property
    def path(self) -> str:
        """The file's absolute path."""
        return f"{self.parent}{os.sep}{self.name}"


@dataclass(slots=True)
class Job:
    """One file of the plan, the places it still has to reach, and the result of staging it.

    Attributes:
        number: Its row id in the journal; the fields up to ``sidecar_digest`` are columns of that row.
        source: The file, or the archive of ``member``.
        taken_at: ISO 8601.
        description: The content of its sidecar.
        stage: Path at which it may be staged.
        places: Places that it still has to reach.
        there: Paths at which an earlier run may already have put the file.
        alike: Its other sources: path, member, size and modification time of the files with the same content.
        origin: What the places get a hard link to: the file at ``stage``, or the source itself.
        sidecar: Its XMP, or ``b""`` if it gets none.
        beside: Path at which the sidecar has already been written, for other places to link to; else ``""``.
        error: Why the file cannot be put into the tree, else ``""``.
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
    alike: list[tuple[str, str, int | None, int]]
    origin: str = ""
    sidecar: bytes = b""
    beside: str = ""
    error: str = ""

    @property
    def location(self) -> str:
        """The source as shown to the user."""
        return media_of(self.name, self.kind, self.source, self.member, self.size).location

    @property
    def fingerprint(self) -> Fingerprint:
        """Tells whether a path in the tree holds this file."""
        return Fingerprint(self.digest, self.source, self.size, self.mtime)

    def clear(self, final: str) -> None:
        """Remove the staged file once every place has it; ``final`` is the last of them."""
        if self.origin == self.stage:
            files.remove(self.stage, final)


def staged_batches(
    db: sqlite3.Connection, pool: "ThreadPoolExecutor", destination: Path, stage: Path, top: str, with_xmp: bool
) -> Iterator[list[Job]]:
    """Stage the files that are still planned, in batches; while one batch lands, the next one is being staged.

    Raises:
        OSError: The staging folder cannot be written to.
    """
    stager = _Stager(with_xmp)
    waiting: list[Future[list[Job]]] = []
    for batch in _batches(db, destination, stage, top):
        staging = []
        if not stager.only_links(batch):
            parts = (batch[start : start + _FILES_PER_TASK] for start in range(0, len(batch), _FILES_PER_TASK))
            staging = [pool.submit(copy_context().run, stager.stage_all, part) for part in parts]
        if waiting:
            yield [job for future in waiting for job in future.result()]
        if not staging:  # Threads would mostly wait for one another, as no file is read or written.
            yield stager.stage_all(batch)
        waiting = staging
    if waiting:
        yield [job for future in waiting for job in future.result()]


def _batches(db: sqlite3.Connection, destination: Path, stage: Path, top: str) -> Iterator[list[Job]]:
    folders = {number: str(destination / path) for number, path in db.execute("SELECT id, path FROM folder").fetchall()}
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
        yield list(_jobs(db, batch, folders, stage, top))


def _jobs(db: sqlite3.Connection, numbers: list[int], folders: dict[int, str], stage: Path, top: str) -> Iterator[Job]:
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
    for number, state, folder, name, xmp in db.execute(
        f"SELECT file, state, folder, name, xmp FROM place WHERE file {wanted} ORDER BY file, folder", numbers
    ):
        place = Place(folder, folders[folder], name, xmp == Sidecar.WANTED)
        (planned if state == State.PLANNED else reached)[number].append(place)
    alike = defaultdict(list)
    for number, *again in db.execute(
        f"SELECT same_as, path, member, size, mtime FROM file WHERE same_as {wanted} ORDER BY id DESC", numbers
    ):
        alike[number].append(tuple(again))
    rows = db.execute(
        f"""SELECT f.id, f.name, f.kind, f.path, f.member, f.size, f.mtime, f.how, f.content, f.digest, f.sidecar,
            o.taken_at, o.guess, o.caption, o.permalink, o.place FROM file f JOIN post p ON p.id = f.post
            JOIN post o ON o.id = COALESCE(p.same_as, p.id) WHERE f.id {wanted} ORDER BY f.id""",
        numbers,
    )
    for number, name, kind, path, member, size, mtime, how, content, digest, sidecar, taken_at, guess, *said in rows:
        caption, permalink, spot = said
        description = Description(tuple(tags[number]), top, caption, None if guess else taken_at, permalink, spot)
        staged = f"{stage}{os.sep}{number // _FILES_PER_TASK % STAGE_FOLDERS}{os.sep}{number}"
        # Only files that an earlier run recorded in the journal can already be in the tree.
        recorded = digest or sidecar or number in reached
        outdated = digest is not None and content is None
        maybe = [*reached[number], *planned[number]] if recorded and not outdated else []
        there = [place.path for place in maybe]
        yield Job(
            number, name, kind, path, member, size, mtime, how, content, digest, sidecar,
            taken_at, description, staged, planned[number], there, alike[number],
        )  # fmt: skip


@dataclass
class _Stager:
    """Stages files, in several threads at once.

    Attributes:
        with_xmp: Whether to embed the XMP in copies of photos too.
        linkable: Source folders from which files can be hard-linked to the destination.
    """

    with_xmp: bool
    linkable: set[str] = field(default_factory=set)

    def only_links(self, jobs: list[Job]) -> bool:
        """Return whether all files are expected to be hard-linked to their sources."""
        return all(
            job.how not in ("copy", "symlink") and not job.member and job.source.rpartition(os.sep)[0] in self.linkable
            for job in jobs
        )

    def stage_all(self, jobs: list[Job]) -> list[Job]:
        """Stage each file, setting ``error`` where its source cannot be read."""
        for job in jobs:
            self._stage(job)
        return jobs

    def _stage(self, job: Job) -> None:
        try:
            if not _stage_again(job) and not self._stage_link(job):
                if job.alike and not job.member and not files.is_unchanged(Path(job.source), job.size, job.mtime):
                    raise UnreadableError(_("changed since it was planned"))
                stage_copy(job, self.with_xmp)
        except UnreadableError as error:
            if not self._stage_alike(job):
                job.error = _why_gone(job) if job.there and not os.path.lexists(job.source) else str(error)
                return
        # Of the files of kind "other", only RAW files get a sidecar; the rest are not opened on their own.
        described = job.kind != "other" or sniff.extension(job.name) in sniff.RAW
        if described and any(place.xmp for place in job.places):
            _describe(job)

    def _stage_link(self, job: Job) -> bool:
        """Link to the source if the mode asks for it; return ``False`` if it does not or no link can be made."""
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
                return False  # Windows allows it only to privileged users.
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

    def _stage_alike(self, job: Job) -> bool:
        """Copy the file from another of its sources, as its own cannot be read; return ``False`` if none can."""
        for source, member, size, mtime in job.alike:
            Path(job.stage).unlink(missing_ok=True)
            again = replace(job, source=source, member=member, size=size, mtime=mtime)
            with suppress(UnreadableError):
                stage_copy(again, self.with_xmp)
                if again.content == job.content or (job.content is None and _modified(source) == mtime):
                    job.content, job.digest, job.origin = again.content, again.digest, again.origin
                    return True
        Path(job.stage).unlink(missing_ok=True)
        return False


def _stage_again(job: Job) -> bool:
    """Stage a file from where an earlier run put it, so that all its places stay hard links to one file."""
    for path in job.there:
        if job.fingerprint.is_at(Path(path)):
            if not files.link(path, job.stage):
                shutil.copy2(path, job.stage, follow_symlinks=False)
            job.origin = job.stage
            return True
    return False


def _modified(path: str) -> int | None:
    """Return the modification time of a file (ns), or ``None`` if it is gone."""
    with suppress(OSError):
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    return None


def _why_gone(job: Job) -> str:
    """Explain why a file from an earlier run, whose source is gone, cannot be put into more places."""
    changed = next(filter(os.path.lexists, job.there), None)
    if changed is None:
        return _("no longer in the tree nor at its source; put it back at its source")
    return _("changed in the tree since, so it is not added to further folders: {path}").format(path=changed)


def _describe(job: Job) -> None:
    """Render the sidecar, or reuse the one that an earlier run wrote, so that its places stay hard links too."""
    for path in job.there if job.sidecar_digest else ():
        beside = Path(path + SIDECAR)
        if beside.is_file() and files.digest_at(beside) == job.sidecar_digest:
            job.sidecar, job.beside = beside.read_bytes(), str(beside)
            return
    job.sidecar = render(job.description)
    job.sidecar_digest = hashlib.sha256(job.sidecar).hexdigest()


def stage_copy(job: Job, with_xmp: bool) -> None:
    """Copy the source, embedding the XMP if it is a photo and ``with_xmp`` is set.

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
    """Read a source in chunks; any error (an archive can fail in many ways) becomes an UnreadableError."""
    try:
        # A read size just above the file size avoids allocating and zeroing a megabyte for each photo.
        size = min((job.size or files.CHUNK) + 1, files.CHUNK)
        with media_of(job.name, job.kind, job.source, job.member, job.size).open() as file:
            while chunk := file.read(size):
                yield chunk
    except Exception as error:
        raise UnreadableError(cause_of(error)) from error
