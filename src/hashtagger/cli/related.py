import json

import click

from hashtagger.i18n import _


@click.command(help=_("Name the tags that people use together with a tag."))
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option(
    "--top-k",
    "-k",
    type=click.IntRange(1, 20),
    default=10,
    show_default=True,
    help=_("At most this many for each tag."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(tags: tuple[str, ...], top_k: int, as_json: bool) -> None:
    """Print the related tags of each tag on a line, ready to paste."""
    from hashtagger.related import related

    found = {tag: related(tag, top_k) for tag in tags}
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for beside in found.values():
        click.echo(" ".join(f"#{tag}" for tag in beside) or _("(no related tags)"))
