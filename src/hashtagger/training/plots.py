"""Draw the figures of training and evaluation as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hashtagger.i18n import _
from hashtagger.images import load_image
from hashtagger.style import house_style, panels


@house_style()
def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and validation measures over the epochs of a run."""
    names = {
        "loss": _("training loss"),
        "val_loss": _("validation loss"),
        "val_top1": "top-1",
        "val_top3": "top-3",
        "val_macro_f1": _("macro-F1"),
    }
    figure, both = panels(2)
    epochs = [row["epoch"] for row in history]
    for axes, measures in zip(both, (("loss", "val_loss"), ("val_top1", "val_top3", "val_macro_f1")), strict=True):
        for measure in measures:
            axes.plot(epochs, [row[measure] for row in history], marker=".", label=names[measure])
        axes.set_xlabel(_("epoch"))
        axes.grid()
        axes.legend()
    figure.savefig(path)


@house_style()
def draw_reliability(sets: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy against confidence, before and after calibration.

    The area of a dot shows its bin's share of the photos: bins of few photos are noisy.
    """
    figure, columns = panels(len(sets))
    for axes, (name, chosen) in zip(columns, sets.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        for bins, error, label in (
            ("bins_before", "calibration_error_before", _("as trained")),
            ("bins", "calibration_error", _("calibrated")),
        ):
            counts, means, parts = zip(*(row for row in chosen[bins] if row[0]), strict=True)
            (line,) = axes.plot(means, parts, linewidth=0.8, label=f"{label}: {chosen[error]['value']:.3f}")
            areas = [400 * count / sum(counts) for count in counts]
            axes.scatter(means, parts, areas, color=line.get_color(), alpha=0.7)
        axes.set(title=name, xlabel=_("score"), ylabel=_("accuracy"), xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left", title=_("calibration error (larger dot: more photos)"))
    figure.savefig(path)


@house_style()
def draw_confusion(sets: Mapping[str, Mapping[str, Any]], tags: Sequence[str], path: Path) -> None:
    """Draw the share of each label's photos (row) that was given each label (column), in percent."""
    import numpy as np

    side = max(4.0, 0.42 * len(tags))
    figure, columns = panels(len(sets), width=side + 1, height=side)
    for axes, (name, chosen) in zip(columns, sets.items(), strict=True):
        counts = np.array(chosen["confusion"])
        percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(percent, vmin=0, vmax=100)
        if len(tags) <= 40:
            for row, column in zip(*np.nonzero(percent >= 1), strict=True):
                shade = "black" if percent[row, column] > 50 else "white"
                axes.text(column, row, f"{percent[row, column]:.0f}", ha="center", va="center", color=shade, fontsize=7)
            axes.set_xticks(range(len(tags)), tags, rotation=90)
            axes.set_yticks(range(len(tags)), tags)
        axes.set(title=name, xlabel=_("predicted"), ylabel=_("true"))
    figure.savefig(path)


@house_style()
def draw_coverage(curves: Mapping[str, Any], threshold: float, path: Path) -> None:
    """Draw precision against coverage, the share of photos for which the network gives a label.

    Photos that no label fits (``other``) count in neither, as the axis label says.

    Args:
        curves: :func:`~hashtagger.training.metrics.coverage_curve` of each set.
        threshold: Marked on each curve.
        path: PNG file.
    """
    figure, (axes,) = panels(1, width=6)
    for name, (thresholds, coverage, precision) in curves.items():
        (line,) = axes.plot(coverage, precision, label=name)
        said = (thresholds >= threshold).nonzero()[0]
        if len(said):
            axes.plot(coverage[said[-1]], precision[said[-1]], marker="o", color=line.get_color())
    axes.set(
        xlabel=_("coverage"),
        ylabel=_("precision, without `other`"),
        xlim=(0, 1),
        ylim=(None, 1.005),
    )
    axes.grid()
    axes.legend(title=_("dot: threshold {threshold:.2f}").format(threshold=threshold))
    figure.savefig(path)


@house_style()
def draw_mistakes(mistakes: Sequence[tuple[Path, str]], path: Path, per_row: int = 6) -> None:
    """Draw a contact sheet of captioned photos."""
    rows = max(1, -(-len(mistakes) // per_row))
    figure, cells = panels(per_row, rows, 1.9, 2.3)
    for axes in cells:
        axes.axis("off")
    for axes, (photo, caption) in zip(cells, mistakes, strict=False):
        axes.imshow(load_image(photo, shorter_side=160))
        axes.set_title(caption, fontsize=7)
    figure.savefig(path)


@house_style()
def draw_balance(counts: Mapping[str, int], path: Path) -> None:
    """Draw the number of photos per label as bars, largest first."""
    ordered = sorted(counts.items(), key=lambda pair: pair[1])
    figure, (axes,) = panels(1, width=6, height=max(2.0, 0.3 * len(ordered)))
    bars = axes.barh([key for key, _count in ordered], [count for _key, count in ordered])
    axes.bar_label(bars, padding=3)
    axes.set_xlabel(_("photos"))
    axes.margins(x=0.1)
    figure.savefig(path)


@house_style()
def draw_labels(sets: Mapping[str, Mapping[str, Any]], tags: Mapping[str, str], path: Path) -> None:
    """Draw the F1 of each label that has photos, with its interval, as bars, best first.

    Args:
        sets: The ``sets`` of :func:`~hashtagger.training.evaluate.evaluate`'s report.
        tags: Display name of each label, by key.
        path: PNG file.
    """
    figure, columns = panels(len(sets), width=5, height=max(2.0, 0.3 * len(tags)))
    for axes, (name, chosen) in zip(columns, sets.items(), strict=True):
        measured = ((row["f1"], key) for key, row in chosen["labels"].items() if row["photos"])
        rows = sorted(measured, key=lambda row: row[0]["value"])
        values = [f1["value"] for f1, _key in rows]
        errors = [[f1["value"] - f1["low"] for f1, _key in rows], [f1["high"] - f1["value"] for f1, _key in rows]]
        axes.barh([tags[key] for _f1, key in rows], values, xerr=errors)
        axes.set(title=name, xlabel="F1", xlim=(0, 1))
    figure.savefig(path)
