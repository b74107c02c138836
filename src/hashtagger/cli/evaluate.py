"""`hashtagger evaluate`."""

import json
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_("Measure a network on the photos of DATA. It writes a report; DATA is class folders or a manifest.")
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary",
    default="hashtags_ko",
    show_default=True,
    help=_("Without --weights: name or TOML file of the label set whose bundled weights are measured."),
)
@click.option("--weights", type=click.Path(path_type=Path), help=_("Weights file, or a network that info lists."))
@click.option("--out", required=True, type=click.Path(path_type=Path), help=_("Folder of the report."))
@click.option(
    "--calibrate",
    metavar="SPLIT",
    help=_("Fit temperature and threshold on this split (all: no splits) and write them into the file of --weights."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the report as one JSON document."))
def command(data: Path, vocabulary: str, weights: Path | None, out: Path, calibrate: str | None, as_json: bool) -> None:
    """Evaluate a network and print the metrics."""
    from hashtagger.training.evaluate import evaluate

    report = evaluate(data, out, weights, vocabulary=vocabulary, calibrate=calibrate)
    for problem in report["problems"]:
        click.echo(problem, err=True)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for name, measured in report["sets"].items():
        line = _(
            "{name}: {n} photos, top-1 {top1:.3f}, top-3 {top3:.3f}, macro-F1 {f1:.3f}, calibration error {ece:.3f}"
        )
        click.echo(
            line.format(
                name=name,
                n=measured["photos"],
                top1=measured["top1"]["value"],
                top3=measured["top3"]["value"],
                f1=measured["macro_f1"]["value"],
                ece=measured["calibration_error"]["value"],
            )
        )
    click.echo(str(out / "report.md"))
