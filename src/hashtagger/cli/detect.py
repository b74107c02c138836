"""`hashtagger detect`."""

import json
from pathlib import Path
from typing import Literal

import click

from hashtagger.cli._labels import find_label
from hashtagger.cli._numbers import Probability
from hashtagger.errors import ImageError
from hashtagger.i18n import _


@click.command(help=_("Draw boxes around a tag's objects in PHOTO."))
@click.argument("photo", type=click.Path())
@click.option("--tag", help=_("Tag to look for; by default the best one of the photo."))
@click.option(
    "--method",
    type=click.Choice(["map", "window"]),
    default="map",
    show_default=True,
    help=_("map: a few passes over the whole photo (DRN); window: cut out and classify every window (any network)."),
)
@click.option(
    "--threshold",
    type=Probability(),
    default=0.5,
    show_default=True,
    help=_("Leave out boxes less probable than this."),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=_("Picture to write (.png, .webp, .pdf, ...); by default ./PHOTO-detect.png, or none with --json."),
)
@click.option("--vocabulary", help=_("Name or TOML file of the label set; by default that of the weights."))
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    photo: str,
    tag: str | None,
    method: Literal["map", "window"],
    threshold: float,
    out: Path | None,
    vocabulary: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Detect a tag in a photo, draw the boxes and print them."""
    from hashtagger.explain.detect import detect
    from hashtagger.explain.draw import draw_detections
    from hashtagger.images import load_image
    from hashtagger.recommend import Recommender

    recommender = Recommender(vocabulary, weights)
    label = find_label(recommender.vocabulary, tag) if tag else None
    image = load_image(photo)
    if label is None:
        label = recommender.vocabulary.labels[int(recommender.scores([image])[0].argmax())]
    index = recommender.vocabulary.index(label.key)
    try:
        found = detect(recommender.model, recommender.config, image, index, method, threshold)
    except ImageError as error:
        raise ImageError(f"{photo}: {error}") from error
    path = out if out or as_json else Path(f"{Path(photo).stem}-detect.png")
    if path:
        draw_detections(image, f"#{label.tag}", found, path)
    if as_json:
        boxes = [{"box": list(one.box), "score": round(one.score, 4)} for one in found]
        document = {"photo": photo, "tag": label.tag, "key": label.key, "boxes": boxes, "picture": path and str(path)}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    click.echo(click.style(f"#{label.tag}", fg="cyan"))
    for one in found:
        click.echo(f"  {one.score:4.0%}  " + " ".join(map(str, one.box)))
    if not found:
        click.echo("  " + _("(nothing it is sure of)"))
    click.echo(str(path))
