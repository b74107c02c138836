"""Figures as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and validation measures over the epochs of a run."""
    from matplotlib.figure import Figure

    figure = Figure((9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for axes, names in ((left, ("loss", "val_loss")), (right, ("val_top1", "val_top3", "val_macro_f1"))):
        for name in names:
            axes.plot(epochs, [row[name] for row in history], marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
