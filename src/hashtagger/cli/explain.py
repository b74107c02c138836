"""`hashtagger explain`."""

import json
from pathlib import Path

import click

from hashtagger.cli._labels import find_label
from hashtagger.i18n import _


@click.command(help=_("Show where in PHOTO the network sees a tag, as a heat map."))
@click.argument("photo", type=click.Path())
@click.option("--tag", "tags", multiple=True, help=_("Tag to explain (can be repeated); by default the best one."))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=_("Picture to write (.png, .webp, .pdf, ...); by default ./PHOTO-explain.png, or none with --json."),
)
@click.option("--vocabulary", help=_("Name or TOML file of the label set; by default that of the weights."))
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    photo: str, tags: tuple[str, ...], out: Path | None, vocabulary: str | None, weights: str | None, as_json: bool
) -> None:
    """Draw the heat maps and print the scores."""
    from hashtagger.explain.draw import draw_heat
    from hashtagger.images import load_image
    from hashtagger.recommend import Recommender

    recommender = Recommender(vocabulary, weights)
    labels = [find_label(recommender.vocabulary, tag) for tag in tags]
    image = load_image(photo)
    scores = dict(zip(recommender.vocabulary.labels, map(float, recommender.scores([image])[0]), strict=True))
    labels = labels or [max(scores, key=scores.__getitem__)]
    path = out if out or as_json else Path(f"{Path(photo).stem}-explain.png")
    if path:
        titles = (f"#{label.tag}  {scores[label]:.0%}" for label in labels)
        maps = (recommender.heatmap(image, label.key) for label in labels)
        draw_heat(image, list(zip(titles, maps, strict=True)), path)
    if as_json:
        said = [{"tag": label.tag, "key": label.key, "score": round(scores[label], 4)} for label in labels]
        document = {"photo": photo, "tags": said, "picture": path and str(path)}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for label in labels:
        click.echo(f"  {scores[label]:4.0%}  " + click.style(f"#{label.tag}", fg="cyan"))
    click.echo(str(path))
