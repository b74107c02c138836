"""Write the report of an evaluation as JSON, Markdown and PNG."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig
from hashtagger.models.labels import labels_of
from hashtagger.training import plots
from hashtagger.training.metrics import coverage_curve

if TYPE_CHECKING:
    from hashtagger.training.evaluate import Answers

FEWEST = 10
"""Sources with fewer photos are left out of the Markdown report; the JSON has them all."""

_MEASURES = {
    "top1": "top-1",
    "top3": "top-3",
    "macro_f1": "macro-F1",
    "calibration_error_before": "calibration error, temperature 1",
    "calibration_error": "calibration error, calibrated",
}
_ABSTENTION = {
    "coverage": "coverage",
    "precision": "precision",
    "precision_without_other": "precision without `other`",
    "silent_on_other": "silent on `other`",
}


def write_report(report: Mapping[str, Any], sets: "Mapping[str, Answers]", config: ModelConfig, out: Path) -> None:
    """Write ``report.json``, ``report.md`` and the figures into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    # File names may contain bytes that are not valid UTF-8.
    (out / "report.md").write_text(to_markdown(report), encoding="utf-8", errors="backslashreplace")
    plots.draw_reliability(report["sets"], out / "reliability.png")
    tags = {label.key: label.tag for label in labels_of(config, report["weights"])}
    plots.draw_confusion(report["sets"], list(tags.values()), out / "confusion.png")
    plots.draw_labels(report["sets"], tags, out / "labels.png")
    curves = {name: _curve(answers, config) for name, answers in sets.items()}
    plots.draw_coverage(curves, config.threshold, out / "coverage.png")
    for name, answers in sets.items():
        plots.draw_mistakes(_mistakes(answers, config), out / f"mistakes-{name}.png")


def _curve(answers: "Answers", config: ModelConfig) -> Any:
    return coverage_curve(answers.confidence(config.temperature), answers.hits())


def _mistakes(answers: "Answers", config: ModelConfig, count: int = 30) -> list[tuple[Path, str]]:
    """List the most confident wrong answers: path, and a caption with the true and the predicted label."""
    confidence, said, hits = answers.confidence(config.temperature), answers.logits.argmax(axis=1), answers.hits()
    worst = sorted((number for number, hit in enumerate(hits) if not hit), key=lambda number: -confidence[number])
    words = _("said {key} {score:.2f}")
    return [
        (photo.path, f"{photo.key}\n" + words.format(key=config.keys[said[number]], score=confidence[number]))
        for number in worst[:count]
        for photo in [answers.photos[number]]
    ]


def to_markdown(report: Mapping[str, Any]) -> str:
    """Format an evaluation as Markdown; each measure is followed by its 95% bootstrap interval."""
    sets = report["sets"]
    lines = [
        f"# {report['weights']}",
        "",
        f"{report['architecture']} at {report['image_size']} px, temperature {report['temperature']:.3f}, threshold "
        f"{report['threshold']:.3f}. In brackets 95% intervals (bootstrap over photos).",
        "",
        *markdown_table(
            ["", *(f"{name} ({chosen['photos']:,} photos)" for name, chosen in sets.items())],
            ([words, *(interval(chosen[name]) for chosen in sets.values())] for name, words in _MEASURES.items()),
        ),
        "",
        "## Abstention",
        "",
        f"{report['other']['said']} of {report['other']['photos']} photos that no label fits are given one"
        + "".join(f", {key} {count}" for key, count in list(report["other"]["labels"].items())[:8])
        + ".",
        "",
    ]
    for title, at in (
        ("threshold of the weights", "at_weights_threshold"),
        ("90% precision on the set itself", "at_90_percent_precision"),
    ):
        columns = [chosen["abstention"][at] for chosen in sets.values()]
        rows = [["threshold", *(f"{column['threshold']:.3f}" for column in columns)]]
        rows += [[words, *(interval(column.get(name)) for column in columns)] for name, words in _ABSTENTION.items()]
        lines += [*markdown_table([title, *sets], rows), ""]
    for name, chosen in sets.items():
        lines += [f"## {name}: by label", ""]
        header = ["label", "photos", "precision", "recall", "F1"]
        rows = [
            [key, str(row["photos"]), *(interval(row[rate]) for rate in ("precision", "recall", "f1"))]
            for key, row in chosen["labels"].items()
        ]
        lines += [*markdown_table(header, rows), ""]
        rows = [
            [source or "unknown", str(row["photos"]), interval(row["top1"]), interval(row["top3"])]
            for source, row in chosen["sources"].items()
            if row["photos"] >= FEWEST
        ]
        if len(rows) > 1:
            lines += [f"## {name}: by source", "", *markdown_table(["source", "photos", "top-1", "top-3"], rows), ""]
    if report["problems"]:
        lines += ["## Photos that cannot be read", "", *(f"- {problem}" for problem in report["problems"]), ""]
    return "\n".join(lines)


def interval(measured: Mapping[str, float] | None) -> str:
    """Format a measure with its 95% interval; a dash if there is none."""
    return "–" if measured is None else f"{measured['value']:.3f} [{measured['low']:.3f}, {measured['high']:.3f}]"


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Format the lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
