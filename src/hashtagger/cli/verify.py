"""`hashtagger verify`: compare a sorted tree with what was put there."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hashtagger.cli._problems import echo_problems
from hashtagger.i18n import _
from hashtagger.organize import verify


@click.command(help=_("Check that DEST still holds what was put there. Every file of it is read again and compared."))
@click.argument("dest", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_("Print the result as JSON."))
@click.pass_context
def command(ctx: click.Context, dest: Path, as_json: bool) -> None:
    """Verify and print a summary; exit with 1 if something is missing or changed."""
    verified = verify(dest)
    if as_json:
        click.echo(json.dumps(asdict(verified), ensure_ascii=False))
    else:
        echo_problems(verified.problems)
        click.echo(
            _("{places} files (photos, sidecars, pages) at their places, {pending} still to come, {n} problems").format(
                places=verified.places - len(verified.problems), pending=verified.pending, n=len(verified.problems)
            )
        )
    if verified.problems:
        ctx.exit(1)
