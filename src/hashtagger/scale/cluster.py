"""Running the parts of a job on a Ray cluster: Ray Data hands them to workers that each hold a network."""

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
"""Bytes of shared memory for a temporary local cluster: only the numbers of the parts go through it."""


@contextmanager
def connected(address: str | None) -> "Iterator[None]":
    """Connect to a Ray cluster for the duration of the context.

    Args:
        address: The cluster's address, or ``"auto"`` for the cluster that this machine is part of; None starts a
            temporary cluster on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        TaggingError: There is no cluster at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError(_("the engine ray takes Ray: pip install '.[ray]' in a clone of hashtagger"))
    # Ray reads these when it is imported and started: no usage statistics, and only fatal messages from its backend.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    _require_answer(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE} if address is None else {}
    # The workers of a running cluster do not have this process's environment, but must choose the same network.
    if network := os.environ.get("HASHTAGGER_NETWORK"):
        own["runtime_env"] = {"env_vars": {"HASHTAGGER_NETWORK": network}}
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
    """Check that something listens at ``host:port`` or ``ray://host:port``; Ray itself would retry for many minutes.

    For ``"auto"`` this is the address that Ray recorded for this machine's last cluster, which may have been killed.

    Raises:
        TaggingError: Nothing listens there.
    """
    where = _recorded_address() if address == "auto" else address or ""
    host, colon, port = where.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise TaggingError(_("no Ray cluster at {address} ({cause})").format(address=address, cause=error)) from error


def _recorded_address() -> str:
    """Return the address that Ray uses for ``"auto"``; ``""`` if there is none or this version keeps it elsewhere."""
    try:
        from ray._common.utils import get_ray_address_file

        return os.environ.get("RAY_ADDRESS") or Path(get_ray_address_file(None)).read_text(encoding="utf-8").strip()
    except (ImportError, OSError):
        return ""


def has_gpus() -> bool:
    """Return whether the cluster has GPUs; if so, the workers use them."""
    import ray

    return ray.cluster_resources().get("GPU", 0) >= 1


def tag_parts(job: "Job", parts: "Sequence[Part]", workers: int | None) -> Iterator[int]:
    """Tag parts of a run on the cluster; a worker that dies is replaced, and its unfinished parts are restarted.

    Args:
        job: The run, whose folder must be accessible to all workers.
        parts: The parts to tag, in any order.
        workers: Number of processes, each with its own network and one GPU, or one CPU on a cluster without GPUs; by
            default as many as there are GPUs or CPUs.

    Yields:
        The number of photos tagged since the last yield.

    Raises:
        TaggingError: A worker failed for a reason other than an unreadable photo.
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
    """Return how many cores each GPU's worker can have: the minimum over the machines with GPUs.

    Args:
        machines: The cluster's nodes as returned by ``ray.nodes()``.
    """
    resources = (machine["Resources"] for machine in machines if machine["Alive"])
    return max(1, min((int(own.get("CPU", 0) // own["GPU"]) for own in resources if own.get("GPU")), default=1))


class _Worker:
    """A worker process: loads the network once, then tags parts as the local engine does."""

    def __init__(self, job: "Job", threads: int, folder: str) -> None:
        # Resolve relative paths as the command does; on a machine without that folder the photos count as missing.
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
    """Extract the last line of a Ray error, which contains whole tracebacks of the worker."""
    return re.sub(r"^hashtagger\.errors\.\w+: ", "", str(error).strip().splitlines()[-1])
