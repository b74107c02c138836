"""Tag a pile of photos and write a table."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from hashtagger.errors import TaggingError
from hashtagger.i18n import _
from hashtagger.recommend import Recommender
from hashtagger.scale import cluster, storage
from hashtagger.scale import job as jobs
from hashtagger.scale.inputs import is_absolute
from hashtagger.scale.job import Job, Part, Settings
from hashtagger.scale.tables import check_ending, write_table
from hashtagger.scale.tagging import Row, tag


@dataclass
class Report:
    """What became of a run.

    Attributes:
        output: The table.
        photos: Rows in it, one a photo.
        tagged: Photos with at least one tag.
        failed: Photos that could not be read; the column ``error`` says why.
        resumed: Photos that an earlier, interrupted run had done.
        seconds: What this run took, from the loading of the network to the table.
        already: The table that was to be resumed was there already, whole; nothing was done, and nothing is counted.
    """

    output: str
    photos: int = 0
    tagged: int = 0
    failed: int = 0
    resumed: int = 0
    seconds: float = 0.0
    already: bool = False


def tag_photos(
    inputs: Sequence[str],
    output: "str | os.PathLike[str]",
    *,
    batch: int = 32,
    workers: int | None = None,
    resume: bool = False,
    vocabulary: str | None = None,
    weights: "str | os.PathLike[str] | None" = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Tag photos and write one table of them, in the order of the inputs.

    Parts that are done are kept in the folder ``OUTPUT.parts`` until the table is written.

    Args:
        inputs: As :func:`~hashtagger.scale.inputs.list_photos` takes them.
        output: ``.parquet``, ``.jsonl`` or ``.csv``, a path or an fsspec URL.
        batch: Photos that go through the network at once, 1 or more.
        workers: Locally, threads that decode, by default one a CPU; with Ray, processes with a network each, by
            default one a GPU, or without GPUs one a CPU.
        resume: Go on with the run whose ``OUTPUT.parts`` is there; where none is, begin one, and where the table is
            there, leave it.
        vocabulary: Name or file of the label set; by default that of the weights.
        weights: Weights file; by default the bundled one.
        engine: ``"local"``, or ``"ray"`` for the workers of a Ray cluster.
        address: The cluster's (``"auto"``: the one that this machine is part of); by default a new one, of this
            machine alone, for as long as the run lasts.
        progress: Called with the photos done and the number of all, after each.

    Raises:
        TaggingError: The inputs or the output cannot be used, or there is a run that was begun otherwise.
        WeightsError: There are no such weights.
        VocabularyError: There is no such vocabulary.
        MissingExtraError: The table's format or the engine takes a package that is not installed.
    """
    start = time.monotonic()
    output = os.fspath(output)
    folder = output + ".parts"
    check_ending(output)
    if resume and storage.exists(output):
        # A table appears when it is whole: what can have been cut short is the removal of its parts.
        if jobs.begun(folder):
            storage.remove(folder)
        return Report(output, already=True)
    begun = _is_begun(output, folder, resume)
    with cluster.connected(address) if engine == "ray" else nullcontext():
        if engine == "ray":
            # The workers compute, and all of them by the same runtime.
            recommender = Recommender(vocabulary, weights, "cpu", "torch" if cluster.has_gpus() else "auto")
        else:
            recommender = Recommender(vocabulary, weights)
        given = None if weights is None else os.fspath(weights)
        choice = recommender.choice
        directory = None if all(map(is_absolute, inputs)) else os.fspath(Path.cwd())
        settings = Settings(tuple(inputs), batch, vocabulary, given, choice.runtime, _digest(recommender), directory)
        job = jobs.resume(folder, settings) if begun else jobs.begin(folder, settings)
        missing = job.missing()
        report = Report(output, job.photos, resumed=job.photos - sum(part.count for part in missing))
        if engine == "ray":
            counts = cluster.tag_parts(job, missing, workers)
        else:
            counts = tag_parts(job, missing, recommender, workers or available_cpus())
        done = report.resumed
        for count in chain([0], counts):
            done += count
            if progress:
                progress(done, job.photos)
    # Among the parts, so that what a killed run leaves of it goes with them.
    with storage.replacing(output, f"{folder}/table") as file:
        write_table(_counted(job.rows(), report), file, output)
    job.remove()
    report.seconds = time.monotonic() - start
    return report


def _is_begun(output: str, folder: str, resume: bool) -> bool:
    """Tell whether a run goes on.

    Raises:
        TaggingError: There is an unfinished run that is not to be resumed, or the output is there already.
    """
    begun = jobs.begun(folder)
    if begun and not resume:
        raise TaggingError(_("{path}: holds an unfinished run; add --resume to go on with it").format(path=folder))
    if storage.exists(output):
        raise TaggingError(_("{path}: exists already; remove it or give another --output").format(path=output))
    return begun


def tag_parts(job: Job, parts: Sequence[Part], recommender: Recommender, threads: int) -> Iterator[int]:
    """Do parts of a run one after the other, with no pause between them.

    Yields:
        How many photos were done since.
    """
    photos = chain.from_iterable(map(job.photos_of, parts))
    rows = tag(recommender, photos, batch=job.settings.batch, threads=threads)
    for part in parts:
        with job.writing(part) as write:
            for row in islice(rows, part.count):
                write(row)
                yield 1


def _counted(rows: Iterable[Row], report: Report) -> Iterator[Row]:
    for row in rows:
        report.tagged += bool(row["tags"])
        report.failed += row["error"] is not None
        yield row


def _digest(recommender: Recommender) -> str:
    """Hash what the network and its labels are, so that a run is not resumed with others."""
    digest = hashlib.sha256(recommender.choice.file.read_bytes())
    for label in recommender.vocabulary:
        digest.update(f"{label.key} {label.tag}\n".encode())
    return digest.hexdigest()


def available_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
