"""The parts of a run on a Ray cluster: Ray Data hands them to workers that each hold a network."""

import importlib.util
import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.errors import MissingExtraError, TaggingError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from hashtagger.scale.job import Job, Part

_ANSWER_SECONDS = 10
_OBJECT_STORE = 100 * 2**20
"""Bytes of shared memory for a cluster of our own: nothing but the parts' numbers goes through it."""


@contextmanager
def connected(address: str | None) -> "Iterator[None]":
    """Be part of a Ray cluster for a while.

    Args:
        address: The cluster's, or ``"auto"`` for the one that this machine is part of; None makes a cluster of this
            machine alone, that ends with the run.

    Raises:
        MissingExtraError: Ray is not installed.
        TaggingError: There is no cluster.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError(_("the engine ray takes Ray: pip install '.[ray]' in a clone of hashtagger"))
    # Read while Ray is imported and started: no reports home, and of its remarks only what ends it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    _require_answer(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise TaggingError(
            _("no Ray cluster at {address} ({cause})").format(address=address, cause=" ".join(str(error).split()))
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str | None) -> None:
    """See that somebody listens at ``host:port`` or ``ray://host:port``: Ray itself tries for many minutes.

    For ``"auto"`` that is where Ray noted this machine's last cluster, which may have ended without a word.

    Raises:
        TaggingError: Nobody does.
    """
    where = _noted_address() if address == "auto" else address or ""
    host, colon, port = where.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise TaggingError(_("no Ray cluster at {address} ({cause})").format(address=address, cause=error)) from error


def _noted_address() -> str:
    """What Ray takes for ``"auto"``; ``""`` where there is nothing or this version of Ray keeps it elsewhere."""
    try:
        from ray._common.utils import get_ray_address_file

        return os.environ.get("RAY_ADDRESS") or Path(get_ray_address_file(None)).read_text(encoding="utf-8").strip()
    except (ImportError, OSError):
        return ""


def has_gpus() -> bool:
    """Tell whether the cluster has GPUs; then they do the work."""
    import ray

    return ray.cluster_resources().get("GPU", 0) >= 1


def tag_parts(job: "Job", parts: "Sequence[Part]", workers: int | None) -> Iterator[int]:
    """Do parts of a run on the cluster; a worker that dies is replaced, and its parts in work are begun anew.

    Args:
        job: The run; the workers must reach its folder.
        parts: Those to do, in any order.
        workers: Processes, each with a network and a GPU of its own, or without GPUs a CPU; by default as many as
            there are GPUs or CPUs.

    Yields:
        How many photos were done since.

    Raises:
        TaggingError: A worker met something that is no photo's fault.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    if not parts:
        return
    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    cpus, gpus = (int(ray.cluster_resources().get(name, 0)) for name in ("CPU", "GPU"))
    threads = cores_per_gpu(ray.nodes()) if gpus else 1
    done = ray.data.from_items([{"part": part.number} for part in parts], override_num_blocks=len(parts)).map_batches(
        _Worker,
        fn_constructor_args=(job, threads, os.fspath(Path.cwd())),
        batch_size=1,
        compute=ActorPoolStrategy(size=min(workers or gpus or cpus, len(parts))),
        num_cpus=threads,
        num_gpus=1 if gpus else 0,
    )
    try:
        for row in done.iter_rows():
            yield job.parts[row["part"]].count
    except ray.exceptions.RayError as error:
        raise TaggingError(_("a worker failed: {cause}").format(cause=_cause(error))) from error
    absent = job.missing()
    if absent:
        raise TaggingError(
            _("{path}: the workers wrote {n} parts elsewhere; give --output in a place that all machines share").format(
                path=job.folder, n=len(absent)
            )
        )


def cores_per_gpu(machines: Iterable[Mapping[str, Any]]) -> int:
    """Count the cores that every GPU's worker can have: no worker fits two machines.

    Args:
        machines: As ``ray.nodes()`` gives them.
    """
    resources = (machine["Resources"] for machine in machines if machine["Alive"])
    return max(1, min((int(own.get("CPU", 0) // own["GPU"]) for own in resources if own.get("GPU")), default=1))


class _Worker:
    """A process of the cluster: loads the network once, then does parts as the local engine does them."""

    def __init__(self, job: "Job", threads: int, folder: str) -> None:
        # Relative paths are those of the command; on a machine without its folder, they name photos that are absent.
        with suppress(OSError):
            os.chdir(folder)
        self.job, self.threads = job, threads
        self.recommender = job.settings.recommender("cuda" if has_gpus() else "cpu")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        from hashtagger.scale.run import tag_parts

        for number in batch["part"]:
            for _count in tag_parts(self.job, [self.job.parts[number]], self.recommender, self.threads):
                pass
        return batch


def _cause(error: BaseException) -> str:
    """Take from Ray's report of an error, whole tracebacks of the worker's, the last line."""
    return re.sub(r"^hashtagger\.errors\.\w+: ", "", str(error).strip().splitlines()[-1])
