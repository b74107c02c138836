"""`hashtagger features`."""

import json
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Draw what the network's channels find in PHOTO. It shows the strongest of one level, and the first "
        "layer's filters."
    )
)
@click.argument("photo", type=click.Path())
@click.option("--level", type=int, default=4, show_default=True, help=_("Level of the network, from 1."))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=_(
        "Picture of the channels (.png, .webp, ...); by default ./PHOTO-level4.png, or none with --json. The filters "
        "are saved next to it."
    ),
)
@click.option("--vocabulary", help=_("Name or TOML file of the label set; by default that of the weights."))
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    photo: str, level: int, out: Path | None, vocabulary: str | None, weights: str | None, as_json: bool
) -> None:
    """Draw the strongest channels and the filters, and print the channels."""
    from hashtagger.explain.draw import draw_channels, draw_filters
    from hashtagger.explain.features import first_filters, strongest_channels
    from hashtagger.images import load_image
    from hashtagger.recommend import Recommender

    recommender = Recommender(vocabulary, weights)
    image = load_image(photo)
    channels = strongest_channels(recommender.model, recommender.config, image, level)
    network = recommender.config.architecture
    title = _("{network}, level {level}: the {n} strongest channels").format(
        network=network, level=level, n=len(channels)
    )
    pictures = []
    if out or not as_json:
        path = out or Path(f"{Path(photo).stem}-level{level}.png")
        filters_path = path.with_name(f"{path.stem}-filters{path.suffix}")
        filters = first_filters(recommender.model)
        draw_channels(image, channels, title, path)
        draw_filters(filters, _("{network}: filters of the first layer").format(network=network), filters_path)
        pictures = [str(path), str(filters_path)]
    if as_json:
        document = {
            "photo": photo,
            "level": level,
            "channels": [{"channel": one.number, "strength": round(one.strength, 4)} for one in channels],
            "pictures": pictures,
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    click.echo(title)
    click.echo("  " + "  ".join(f"{one.number}: {one.strength:.2f}" for one in channels))
    for picture in pictures:
        click.echo(picture)
