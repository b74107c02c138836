"""`hashtagger landmark`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashtagger.cli._labels import echo_unlearned, spoken, unlearned, whole_vocabulary
from hashtagger.cli._numbers import Probability
from hashtagger.i18n import _

if TYPE_CHECKING:
    from hashtagger.landmarks import Position
    from hashtagger.recommend import Recommendation
    from hashtagger.vocabulary import Vocabulary


@click.command(
    help=_(
        "Say which landmark PHOTO shows, and where that is. It tells the landmark's name, its address and the"
        " place on a map."
    )
)
@click.argument("photo", type=click.Path())
@click.option("--map", "map_path", type=click.Path(path_type=Path), help=_("Map to write (.html)."))
@click.option(
    "--top-k", type=click.IntRange(min=1), default=3, show_default=True, help=_("At most this many landmarks.")
)
@click.option("--threshold", type=Probability(), help=_("Leave out landmarks less probable than this."))
@click.option(
    "--vocabulary",
    help=_("Name or TOML file of the label set; by default that of --weights, or {name}.").format(
        name="landmarks_world"
    ),
)
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    photo: str,
    map_path: Path | None,
    top_k: int,
    threshold: float | None,
    vocabulary: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Recognize landmarks, print them and write the map."""
    from hashtagger.landmarks import taken_at, write_map
    from hashtagger.models.find import locate_weights
    from hashtagger.recommend import Recommender

    file = None if weights is None else locate_weights(weights, vocabulary or "landmarks_world")
    recommender = Recommender(vocabulary if vocabulary or weights else "landmarks_world", file)
    found = recommender.recommend(photo, top_k=top_k, threshold=threshold)
    taken = taken_at(photo)
    whole = whole_vocabulary(vocabulary, recommender.vocabulary)
    gps = second_opinion(found, taken, whole) if taken else None
    unknown = unlearned(whole, recommender.vocabulary)
    if as_json:
        landmarks = [described(one) for one in found]
        document = {"photo": photo, "landmarks": landmarks, "gps": gps, "unknown": [label.key for label in unknown]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        show(found, gps)
        echo_unlearned(unknown)
    if map_path and not found and taken is None:
        click.echo(_("No map: it is sure of no landmark, and the photo has no GPS."), err=True)
    elif map_path:
        write_map([one.label for one in found], taken, map_path)
        click.echo(str(map_path), err=True)


def described(one: "Recommendation") -> dict[str, Any]:
    """Return all that is known about a landmark."""
    from hashtagger.landmarks import map_links

    details = {name: one.label.details.get(name) for name in ("country", "address", "latitude", "longitude")}
    said = {"tag": one.tag, "key": one.key, "name": one.label.name, "score": round(one.score, 4)}
    return {**said, **details, "links": map_links(one.label)}


def second_opinion(found: "list[Recommendation]", taken: "Position", vocabulary: "Vocabulary") -> dict[str, Any]:
    """Compare the first landmark with the photo's GPS position, and find the landmark nearest to that position."""
    from hashtagger.landmarks import distance_to, is_near, nearest

    distance = distance_to(found[0].label, taken) if found else None
    by_place = nearest(vocabulary, taken)
    return {
        "latitude": round(taken.latitude, 6),
        "longitude": round(taken.longitude, 6),
        "distance_km": None if distance is None else round(distance, 1),
        "agrees": is_near(found[0].label, taken) if found else None,
        "nearest": {"tag": by_place[0].tag, "key": by_place[0].key, "distance_km": round(by_place[1], 1)}
        if by_place
        else None,
    }


def show(found: "list[Recommendation]", gps: dict[str, Any] | None) -> None:
    """Print the first landmark with its place, the others one per line, and the GPS position where it disagrees."""
    from hashtagger.landmarks import map_links, position_of

    if not found:
        click.echo("  " + _("(nothing it is sure of; --threshold 0 shows its guesses)"))
    for number, one in enumerate(found):
        click.echo(f"  {one.score:4.0%}  {click.style(one.tag, fg='cyan')}  {one.label.name}")
        if number:
            continue
        details = one.label.details
        for line in (spoken(details.get("address")), spoken(details.get("country")), position_of(one.label)):
            if line:
                click.echo(f"        {line}")
        for name, link in map_links(one.label).items():
            click.echo(f"        {name}: {link}")
    if gps is None or gps["agrees"]:
        return
    place = f"{gps['latitude']:.4f}, {gps['longitude']:.4f}"
    if gps["distance_km"] is not None:
        click.echo(
            _("The photo's GPS disagrees: it was taken at {place}, {km:,.1f} km from there.").format(
                place=place, km=gps["distance_km"]
            )
        )
    else:
        click.echo(_("The photo's GPS: {place}.").format(place=place))
    if gps["nearest"]:
        click.echo(
            _("Nearest landmark to that: {name}, {km:,.1f} km.").format(
                name=gps["nearest"]["tag"], km=gps["nearest"]["distance_km"]
            )
        )
