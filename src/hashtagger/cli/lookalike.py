"""`hashtagger lookalike`."""

import json

import click

from hashtagger.cli._labels import echo_unlearned, spoken, unlearned, whole_vocabulary
from hashtagger.i18n import _


@click.command(help=_("Say which hero PHOTO looks like. All heroes are listed, in order of likeness."))
@click.argument("photo", type=click.Path())
@click.option(
    "--vocabulary",
    help=_("Name or TOML file of the label set; by default that of --weights, or {name}.").format(name="heroes"),
)
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(photo: str, vocabulary: str | None, weights: str | None, as_json: bool) -> None:
    """Rank the heroes by likeness and print them."""
    from hashtagger.models.find import locate_weights
    from hashtagger.recommend import Recommender

    file = None if weights is None else locate_weights(weights, vocabulary or "heroes")
    recommender = Recommender(vocabulary if vocabulary or weights else "heroes", file)
    found = recommender.recommend(photo, top_k=len(recommender.vocabulary), threshold=0)
    unknown = unlearned(whole_vocabulary(vocabulary, recommender.vocabulary), recommender.vocabulary)
    if as_json:
        document = {
            "photo": photo,
            "likeness": [
                {
                    "tag": one.tag,
                    "key": one.key,
                    "name": one.label.name,
                    "score": round(one.score, 4),
                    "description": one.label.details.get("description"),
                }
                for one in found
            ],
            "unknown": [label.key for label in unknown],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for one in found:
        description = spoken(one.label.details.get("description"))
        click.echo(f"  {one.score:4.0%}  {click.style(one.tag, fg='cyan')}  {click.style(description, dim=True)}")
    echo_unlearned(unknown)
