"""Describe the installation: versions, device, bundled vocabularies, and the runtime chosen for each and why."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

from hashtagger.errors import WeightsError
from hashtagger.models.device import computes_bfloat16, cpu_name, find_device
from hashtagger.models.find import list_weights
from hashtagger.models.runtimes import choose
from hashtagger.models.weights import read_config
from hashtagger.vocabulary import Vocabulary, available, load_vocabulary

_RUNTIMES = ("torch", "onnxruntime")


def describe() -> dict[str, Any]:
    """Describe everything that determines how photos are scored here. Imports torch only if there may be a GPU.

    Returns:
        ``version``, ``python``, ``system``, ``cpu`` (``name``, ``cores``), ``device``, ``bfloat16`` (whether the device
        computes in it), ``runtimes`` (the version of each, None if not installed), and ``vocabularies`` (a dict for
        each weights file of each bundled vocabulary, the one used by default first).
    """
    device = find_device()
    return {
        "version": version("hashtagger"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": {"name": cpu_name(), "cores": os.cpu_count()},
        "device": device,
        "bfloat16": computes_bfloat16(device),
        "runtimes": {name: _version(name) for name in _RUNTIMES},
        "vocabularies": list(chain.from_iterable(_vocabulary(load_vocabulary(name), device) for name in available())),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _vocabulary(vocabulary: Vocabulary, device: str) -> list[dict[str, Any]]:
    said = {"name": vocabulary.name, "title": vocabulary.title, "labels": len(vocabulary)}
    files = list_weights(vocabulary.name)
    return [{**said, "weights": str(path), **_weights(path, device)} for path in files] or [{**said, "weights": None}]


def _weights(weights: Path, device: str) -> dict[str, Any]:
    try:
        config = read_config(weights)
        choice = choose(weights, device)
        figures = dict(read_config(choice.file).figures)
    except WeightsError as error:
        return {"error": str(error)}
    int8 = figures.pop("int8", None)
    figures.pop("onnx", None)
    return {
        "architecture": config.architecture,
        "learned": len(config.keys),
        "image_size": config.image_size,
        "bytes": weights.stat().st_size,
        "temperature": config.temperature,
        "threshold": config.threshold,
        "figures": figures,
        "runtime": choice.runtime,
        "file": str(choice.file),
        "why": choice.why,
        "cost": int8,
    }
