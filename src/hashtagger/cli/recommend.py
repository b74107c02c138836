import json
import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from hashtagger.cli._numbers import Probability
from hashtagger.cli._photos import expand
from hashtagger.errors import ImageError
from hashtagger.i18n import _
from hashtagger.images import matches

if TYPE_CHECKING:
    from hashtagger.recommend import Recommendation

_RELATED_SHOWN = 5


@click.command(help=_("Recommend hashtags for photos: files, folders and globs."))
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option(
    "--top-k", type=click.IntRange(min=1), default=5, show_default=True, help=_("At most this many tags per photo.")
)
@click.option(
    "--threshold",
    type=Probability(),
    help=_("Leave out tags less probable than this; by default as the weights were calibrated."),
)
@click.option("--vocabulary", help=_("Name or TOML file of the label set; by default that of the weights."))
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option(
    "--runtime",
    type=click.Choice(["auto", "torch", "onnx"]),
    default="auto",
    show_default=True,
    help=_("Runtime to use; hashtagger info says which one auto chooses."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    photos: tuple[str, ...],
    top_k: int,
    threshold: float | None,
    vocabulary: str | None,
    weights: str | None,
    runtime: Literal["auto", "torch", "onnx"],
    as_json: bool,
) -> None:
    """Print the tags recommended for each photo; exit with 1 if a photo could not be read."""
    from hashtagger.recommend import Recommender

    paths = expand(photos)
    if not paths:
        raise ImageError(_("no photos in {places}").format(places=", ".join(photos)))
    recommender = Recommender(vocabulary, weights, runtime=runtime)
    documents: list[dict[str, Any]] = []
    failed = 0
    for path, found in recommender.recommend_each(paths, top_k=top_k, threshold=threshold):
        if isinstance(found, ImageError):
            failed += 1
            if not matches(path):
                found = ImageError(_("{place}: no photo matches").format(place=path))
            click.echo(_("Error: {message}").format(message=found), err=True)
        if as_json:
            documents.append(_document(path, found))
        elif not isinstance(found, ImageError):
            _show(path, found)
    if as_json:
        click.echo(json.dumps(documents, ensure_ascii=False, indent=2))
    if failed and len(paths) > 1:
        click.echo(_("{failed} of {n} photos could not be read").format(failed=failed, n=len(paths)), err=True)
    if failed:
        sys.exit(1)


def _document(path: str, found: "list[Recommendation] | ImageError") -> dict[str, Any]:
    if isinstance(found, ImageError):
        return {"photo": path, "error": str(found), "tags": []}
    return {"photo": path, "tags": [r.to_dict() for r in found]}


def _show(path: str, found: "list[Recommendation]") -> None:
    click.echo(click.style(path, bold=True))
    for r in found:
        beside = " ".join(f"#{tag}" for tag in r.related[:_RELATED_SHOWN])
        click.echo(f"  {r.score:4.0%}  {click.style(str(r), fg='cyan')}  {click.style(beside, dim=True)}")
    if not found:
        click.echo("  " + _("(nothing it is sure of; --threshold 0 shows its guesses)"))
