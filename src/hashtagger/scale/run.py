"""Tag many photos and write one table."""

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
    """Summary of a run.

    Attributes:
        output: The table.
        photos: Number of photos, each a row of the table.
        tagged: Photos with at least one tag.
        failed: Photos that could not be read; the column ``error`` says why.
        resumed: Photos that an earlier, interrupted run had done.
        seconds: Duration of this run, from loading the network to the finished table.
        already: True if the run to resume was already complete; then nothing was done, and the counts are 0.
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
    """Tag photos and write a table with a row for each, in the order of the inputs.

    Finished parts are kept in the folder ``OUTPUT.parts`` until the table is written.

    Args:
        inputs: Inputs as accepted by :func:`~hashtagger.scale.inputs.list_photos`.
        output: Path or fsspec URL of the table, ending in ``.parquet``, ``.jsonl`` or ``.csv``.
        batch: Batch size of the network, 1 or more.
        workers: Local engine: number of decoding threads, by default :func:`decoding_threads`. Ray: number of
            processes, each with a network, by default one per GPU, or one per CPU on a cluster without GPUs.
        resume: Resume the run in ``OUTPUT.parts``, or start one if there is none; do nothing if the table exists.
        vocabulary: Name or file of the label set; by default that of the weights.
        weights: Weights file, or name of a network with weights; by default the bundled one.
        engine: ``"local"``, or ``"ray"`` for the workers of a Ray cluster.
        address: Address of the Ray cluster, or ``"auto"`` for the one that this machine is part of; by default a
            temporary cluster on this machine.
        progress: Called with the number of photos done and the total, at the start and after each photo or, with
            Ray, each part.

    Raises:
        TaggingError: The inputs or the output cannot be used, or there is a run with other settings.
        WeightsError: There are no such weights.
        VocabularyError: There is no such vocabulary.
        MissingExtraError: The table's format or the engine needs a package that is not installed.
        ValueError: ``batch`` or ``workers`` is below 1.
    """
    if batch < 1 or (workers is not None and workers < 1):
        raise ValueError(f"batch and workers must be 1 or more, not {batch} and {workers}")
    start = time.monotonic()
    output = os.fspath(output)
    folder = output + ".parts"
    check_ending(output)
    if storage.is_folder(output):
        raise TaggingError(f"{output}: " + _("is a folder"))
    if resume and storage.exists(output):
        # The table is renamed into place once complete, so at most the removal of its parts was interrupted.
        if jobs.begun(folder):
            storage.remove(folder)
        return Report(output, already=True)
    begun = _is_begun(output, folder, resume)
    with cluster.connected(address) if engine == "ray" else nullcontext():
        if engine == "ray":
            # Only the workers run the network; this instance determines the runtime that all of them use.
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
            counts = tag_parts(job, missing, recommender, workers or decoding_threads())
        done = report.resumed
        for count in chain([0], counts):
            done += count
            if progress:
                progress(done, job.photos)
    # Written in the folder of the parts, so that a partial table left by a killed run is removed with them.
    with storage.replacing(output, f"{folder}/table") as file:
        write_table(_counted(job.rows(), report), file, output)
    job.remove()
    report.seconds = time.monotonic() - start
    return report


def _is_begun(output: str, folder: str, resume: bool) -> bool:
    """Return whether there is an unfinished run to resume.

    Raises:
        TaggingError: There is an unfinished run but ``resume`` is False, or the output already exists.
    """
    begun = jobs.begun(folder)
    if begun and not resume:
        raise TaggingError(_("{path}: holds an unfinished run; add --resume to go on with it").format(path=folder))
    if storage.exists(output):
        raise TaggingError(_("{path}: exists already; remove it or give another --output").format(path=output))
    return begun


def tag_parts(job: Job, parts: Sequence[Part], recommender: Recommender, threads: int) -> Iterator[int]:
    """Tag parts of a run in order; photos of the next part are already decoded while one part ends.

    Yields:
        The number of photos tagged since the last yield.
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
    """Hash the network's file and its labels, so that a run is not resumed with different ones."""
    digest = hashlib.sha256(recommender.choice.file.read_bytes())
    for label in recommender.vocabulary:
        digest.update(f"{label.key} {label.tag}\n".encode())
    return digest.hexdigest()


def decoding_threads() -> int:
    """Return one more than the CPUs that this process may use, for moments when the network does not use them all."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus + 1
