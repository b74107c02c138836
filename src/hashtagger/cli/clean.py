"""`hashtagger clean`."""

import json
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Find problems in the labelled photos of DATA. DATA is class folders or a manifest; the problems are "
        "unreadable, duplicate and text-heavy photos, likely wrong labels and outliers. No photo is ever deleted or "
        "changed."
    )
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help=_("Folder of the findings."))
@click.option("--weights", type=click.Path(path_type=Path), help=_("Weights file, or a network that info lists."))
@click.option(
    "--apply",
    "applying",
    is_flag=True,
    help=_("Write a manifest without the photos that the reviewed findings.jsonl in that folder drops."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the result as one JSON document."))
def command(data: Path, out: Path, weights: Path | None, applying: bool, as_json: bool) -> None:
    """Find problems or apply the reviewed findings, and print a summary."""
    from hashtagger.training.clean import apply_findings, clean

    found = ""
    if applying:
        result = apply_findings(data, out)
        line = _("{kept} photos kept, {dropped} dropped, {relabelled} relabelled: {manifest}")
    else:
        result = clean(data, out, weights=weights)
        found = ", ".join(f"{kind} {count}" for kind, count in result["findings"].items())
        line = _("{photos} photos; {found}. Review: {review}")
    click.echo(json.dumps(result, ensure_ascii=False) if as_json else line.format(found=found, **result))
