"""`hashtagger undo`: take back what organize did."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hashtagger.cli._problems import echo_problems
from hashtagger.i18n import _
from hashtagger.organize import undo


@click.command(
    help=_(
        "Take back what organize did. DEST, and the sources of moved files, are put back to what they were "
        "before organizing: all runs into DEST are taken back."
    )
)
@click.argument("dest", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_("Print the result as JSON."))
@click.pass_context
def command(ctx: click.Context, dest: Path, as_json: bool) -> None:
    """Undo and print a summary; exit with 1 if something could not be undone."""
    undone = undo(dest)
    if as_json:
        click.echo(json.dumps(asdict(undone), ensure_ascii=False))
    else:
        echo_problems(undone.problems)
        click.echo(
            _("{removed} files taken away, {restored} put back, {n} problems").format(
                removed=undone.removed, restored=undone.restored, n=len(undone.problems)
            )
        )
    if undone.problems:
        ctx.exit(1)
