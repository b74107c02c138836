"""`hashtagger undo`: take back what organize did."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hashtagger.i18n import _
from hashtagger.organize import undo


@click.command(help=_("Put DEST, and the sources of moved files, back to what they were before organizing."))
@click.argument("dest", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_("Print the result as JSON."))
def command(dest: Path, as_json: bool) -> None:
    """Undo and print."""
    undone = undo(dest)
    if as_json:
        click.echo(json.dumps(asdict(undone), ensure_ascii=False))
        return
    for problem in undone.problems:
        click.echo(f"{problem.location}: {problem.cause}", err=True)
    click.echo(
        _("{removed} files taken away, {restored} put back, {n} problems").format(
            removed=undone.removed, restored=undone.restored, n=len(undone.problems)
        )
    )
