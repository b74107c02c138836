"""Figures as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _figure(columns: int, width: float = 4.5, height: float = 4.0, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    # Not through pyplot, which would choose a screen and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure((width * columns, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and validation measures over the epochs of a run."""
    figure, both = _figure(2)
    epochs = [row["epoch"] for row in history]
    for axes, names in zip(both, (("loss", "val_loss"), ("val_top1", "val_top3", "val_macro_f1")), strict=True):
        for name in names:
            axes.plot(epochs, [row[name] for row in history], marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def draw_reliability(sets: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw how often the network is right against how sure it is, before and after calibration."""
    figure, columns = _figure(len(sets))
    for axes, (name, chosen) in zip(columns, sets.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        for bins, error, label in (
            ("bins_before", "calibration_error_before", "temperature 1"),
            ("bins", "calibration_error", "calibrated"),
        ):
            filled = [(mean, part) for count, mean, part in chosen[bins] if count]
            axes.plot(*zip(*filled, strict=True), marker="o", label=f"{label}: error {chosen[error]['value']:.3f}")
        axes.set(title=name, xlabel="confidence", ylabel="part right", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)


def draw_confusion(sets: Mapping[str, Mapping[str, Any]], keys: Sequence[str], path: Path) -> None:
    """Draw the part of each label's photos (row) that was given each label (column), in percent."""
    import numpy as np

    side = max(4.0, 0.42 * len(keys))
    figure, columns = _figure(len(sets), side + 1, side)
    for axes, (name, chosen) in zip(columns, sets.items(), strict=True):
        counts = np.array(chosen["confusion"])
        percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        if len(keys) <= 40:
            for row, column in zip(*np.nonzero(percent >= 1), strict=True):
                shade = "white" if percent[row, column] > 50 else "black"
                axes.text(column, row, f"{percent[row, column]:.0f}", ha="center", va="center", color=shade, fontsize=7)
            axes.set_xticks(range(len(keys)), keys, rotation=90)
            axes.set_yticks(range(len(keys)), keys)
        axes.set(title=name, xlabel="said", ylabel="true")
    figure.savefig(path, dpi=120)


def draw_coverage(curves: Mapping[str, Any], threshold: float, path: Path) -> None:
    """Draw the part of what is said that is right, against the part of the photos that anything is said about.

    Args:
        curves: :func:`~hashtagger.training.metrics.coverage_curve` of each set.
        threshold: Marked on each curve.
        path: PNG file.
    """
    figure, (axes,) = _figure(1, 6)
    for name, (thresholds, coverage, precision) in curves.items():
        (line,) = axes.plot(coverage, precision, label=name)
        said = (thresholds >= threshold).nonzero()[0]
        if len(said):
            axes.plot(coverage[said[-1]], precision[said[-1]], marker="o", color=line.get_color())
    axes.set(xlabel="coverage", ylabel="precision", xlim=(0, 1), ylim=(None, 1.005))
    axes.grid(alpha=0.3)
    axes.legend(title=f"dot: threshold {threshold:.2f}")
    figure.savefig(path, dpi=120)


def draw_mistakes(mistakes: Sequence[tuple[Path, str]], path: Path, per_row: int = 6) -> None:
    """Draw a contact sheet of photos with a caption each."""
    from hashtagger.images import load_image

    rows = max(1, -(-len(mistakes) // per_row))
    figure, cells = _figure(per_row, 1.9, 2.3, rows)
    for axes in cells:
        axes.axis("off")
    for axes, (photo, caption) in zip(cells, mistakes, strict=False):
        axes.imshow(load_image(photo, shorter_side=160))
        axes.set_title(caption, fontsize=7)
    figure.savefig(path, dpi=100)


def draw_balance(counts: Mapping[str, int], path: Path) -> None:
    """Draw the photos of each label as bars, most first."""
    ordered = sorted(counts.items(), key=lambda pair: pair[1])
    figure, (axes,) = _figure(1, 6, max(2.0, 0.3 * len(ordered)))
    bars = axes.barh([key for key, _count in ordered], [count for _key, count in ordered])
    axes.bar_label(bars, padding=3)
    axes.set_xlabel("photos")
    axes.margins(x=0.1)
    figure.savefig(path, dpi=120)
