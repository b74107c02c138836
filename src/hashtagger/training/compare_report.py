"""Write a comparison as Markdown, CSV and pictures."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hashtagger.i18n import _
from hashtagger.style import house_style, panels
from hashtagger.training.report import interval, markdown_table

Row = Mapping[str, Any]

_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "name": ("try", str),
    "image_size": ("px", str),
    "top1": ("top-1", interval),
    "top3": ("top-3", interval),
    "macro_f1": ("macro-F1", interval),
    "loss": ("loss", "{:.3f}".format),
    "parameters": ("parameters", "{:,}".format),
    "macs": ("MMACs", lambda count: f"{count / 1e6:,.1f}"),
    "epochs": ("epochs", str),
    "train_seconds": ("training, s", "{:,.0f}".format),
    "images_per_second": ("images/s", "{:,.1f}".format),
    "latency_ms": ("latency, ms", "{:,.1f}".format),
    "megabytes": ("MB", "{:,.1f}".format),
}


def write_comparison(rows: Sequence[Row], out: Path) -> None:
    """Write ``comparison.md``, ``.csv`` (full precision) and ``.png``, and ``scatter.png``, into the folder ``out``."""
    (out / "comparison.md").write_text(to_markdown(rows), encoding="utf-8")
    with (out / "comparison.csv").open("w", encoding="utf-8", newline="") as file:
        flat = [_flat(row) for row in rows]
        writer = csv.DictWriter(file, flat[0])
        writer.writeheader()
        writer.writerows(flat)
    draw_table(rows, out / "comparison.png")
    draw_scatter(rows, out / "scatter.png")


def to_markdown(rows: Sequence[Row]) -> str:
    """Format the rows as a Markdown table, with 95% intervals."""
    return "\n".join(markdown_table(_titles(), map(_cells, rows))) + "\n"


def _titles() -> list[str]:
    return [title for title, _form in _COLUMNS.values()]


def _cells(row: Row) -> list[str]:
    return [form(row[name]) for name, (_title, form) in _COLUMNS.items()]


def _flat(row: Row) -> dict[str, Any]:
    """Split each measure that has an interval into three columns."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        else:
            flat[name] = value
    return flat


def draw_table(rows: Sequence[Row], path: Path) -> None:
    """Draw the rows as a table."""
    with house_style():
        figure, (axes,) = panels(1, width=17, height=0.6 + 0.32 * len(rows))
        axes.axis("off")
        table = axes.table([_cells(row) for row in rows], colLabels=_titles(), loc="center", cellLoc="center")
        table.auto_set_font_size(False)
        table.set_fontsize(8)
        table.auto_set_column_width(list(range(len(_COLUMNS))))
        figure.savefig(path, dpi=120)


def draw_scatter(rows: Sequence[Row], path: Path) -> None:
    """Draw top-1, with its interval, against latency."""
    with house_style():
        figure, (axes,) = panels(1, width=6.5)
        for row in rows:
            value, low, high = (row["top1"][name] for name in ("value", "low", "high"))
            axes.errorbar(row["latency_ms"], value, [[value - low], [high - value]], marker="o", capsize=3)
            axes.annotate(row["name"], (row["latency_ms"], value), (6, 4), textcoords="offset points", fontsize=8)
        axes.set(
            xscale="log", xlabel=_("latency, ms (network alone, one photo)"), ylabel=_("top-1 with its interval (95%)")
        )
        axes.margins(x=0.2)
        figure.savefig(path, dpi=120)
