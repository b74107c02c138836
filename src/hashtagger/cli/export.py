"""`hashtagger export`."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashtagger.arrays import Array
from hashtagger.errors import ImageError, WeightsError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from torch import nn

    from hashtagger.models.config import ModelConfig

_CALIBRATION = 256
_BATCH = 8
_KINDS = ["onnx", "pt2"]


@click.command(help=_("Write a network for other runtimes. OUT is an .onnx file, or a .pt2 program of torch.export."))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary",
    default="hashtags_ko",
    show_default=True,
    help=_("Without --weights: name or TOML file of the label set whose bundled weights are written."),
)
@click.option("--weights", type=click.Path(path_type=Path), help=_("Weights file, or a network that info lists."))
@click.option(
    "--format", "kind", type=click.Choice(_KINDS), help=_("Format to write; by default the extension of OUT.")
)
@click.option("--int8", is_flag=True, help=_("Quantize to int8 (onnx); requires --calibrate."))
@click.option("--calibrate", type=click.Path(path_type=Path), help=_("Folder of photos like those it will see."))
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    help=_("Labelled photos (class folders or a manifest) on which to compare it with the network."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    out: Path,
    vocabulary: str,
    weights: Path | None,
    kind: str | None,
    int8: bool,
    calibrate: Path | None,
    check: Path | None,
    as_json: bool,
) -> None:
    """Export a network, compare the result with it if asked to, and print the figures."""
    from hashtagger.models.export import export_onnx, export_program
    from hashtagger.models.find import locate_weights
    from hashtagger.models.weights import fingerprint, load_weights, renew_checksum
    from hashtagger.vocabulary import load_vocabulary

    kind = kind or out.suffix[1:]
    if kind not in _KINDS:
        raise click.UsageError(_("OUT must end in .onnx or .pt2"))
    if out.suffix != f".{kind}":
        raise click.UsageError(_("OUT must end in .{kind}").format(kind=kind))
    if int8 != bool(calibrate) or (int8 and kind != "onnx"):
        raise click.UsageError(_("--int8 goes with --calibrate PHOTOS and --format onnx"))
    if not out.parent.is_dir():
        raise WeightsError(_("{path}: no such folder").format(path=out.parent))
    load_vocabulary(vocabulary)  # reports an unknown vocabulary as such, not as missing weights
    path = locate_weights(weights, vocabulary)
    network, config = load_weights(path)
    if calibrate:
        _export_int8(network, config, out, calibrate)
    else:
        made = replace(config, figures={**config.figures, "onnx": {"made_from": fingerprint(path)}})
        (export_onnx if kind == "onnx" else export_program)(network, made, out)
    renew_checksum(out)
    figures = _compare(network, config, out, check) if check else {}
    if int8:
        from hashtagger.models.quantize import write_config

        said = {**figures, "made_from": fingerprint(path)}
        write_config(out, replace(config, figures={**config.figures, "int8": said}))
        renew_checksum(out)
    if as_json:
        click.echo(json.dumps({"path": str(out), "bytes": out.stat().st_size, **figures}, ensure_ascii=False))
        return
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    if figures:
        click.echo(
            _(
                "{photos} photos: the same label first on {agreement:.2%}, top-1 {top1:.4f} (the network's: "
                "{top1_float:.4f}), probabilities within {difference:.2g}"
            ).format(**figures)
        )


def _export_int8(network: "nn.Module", config: "ModelConfig", out: Path, photos: Path) -> None:
    from hashtagger.models.export import export_onnx
    from hashtagger.models.quantize import quantize

    batches = list(_calibration(photos, config))
    if not batches:
        raise ImageError(_("no photos in {places}").format(places=photos))
    with tempfile.TemporaryDirectory(prefix="hashtagger-") as folder:
        exact = Path(folder, "float.onnx")
        export_onnx(network, config, exact)
        quantize(exact, out, batches)


def _calibration(folder: Path, config: "ModelConfig") -> Iterator[Array]:
    """Yield batches of preprocessed photos sampled evenly from a folder, skipping those that cannot be read."""
    import numpy as np

    from hashtagger.images import find_photos, load_image
    from hashtagger.models.preprocess import preprocess

    photos = find_photos(folder)
    batch = []
    for photo in photos[:: max(1, -(-len(photos) // _CALIBRATION))]:
        try:
            batch.append(preprocess(load_image(photo, shorter_side=config.image_size), config))
        except ImageError as error:
            click.echo(str(error), err=True)
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _compare(network: "nn.Module", config: "ModelConfig", out: Path, data: Path) -> dict[str, Any]:
    from hashtagger.models.runtimes import onnx_runtime
    from hashtagger.training.agreement import measure_agreement

    return measure_agreement(network, onnx_runtime(out) if out.suffix == ".onnx" else _program(out), config, data)


def _program(path: Path) -> Any:
    import torch

    module = torch.export.load(path).module()
    return lambda pixels: module(torch.from_numpy(pixels)).detach().numpy()
