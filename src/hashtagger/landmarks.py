"""Locations of landmarks and photos: coordinates, distances, map links, and the GPS position in EXIF."""

import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from hashtagger.errors import HashtaggerError, ImageError, MissingExtraError, cause_of
from hashtagger.i18n import _
from hashtagger.images import open_photo, register_heic
from hashtagger.vocabulary import Label, Vocabulary

if TYPE_CHECKING:
    from PIL.Image import Image

NEAR_KM = 5.0
"""Photos of a landmark are taken within this distance of it, unless its label has a ``radius_km``."""

_EARTH_KM = 6371.0088
_GPS = 0x8825
_LATITUDE, _LONGITUDE = (1, 2), (3, 4)


class Position(NamedTuple):
    """A place on earth, in degrees (WGS 84), north and east positive."""

    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"{self.latitude:.4f}, {self.longitude:.4f}"


def position_of(label: Label) -> Position | None:
    """Position of a landmark; None if its vocabulary gives none."""
    latitude, longitude = label.details.get("latitude"), label.details.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    return Position(float(latitude), float(longitude))


def distance_km(a: Position, b: Position) -> float:
    """Great-circle distance in kilometres, on a sphere of the earth's mean radius (haversine formula)."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    across = math.radians(b.longitude - a.longitude)
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(across / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def distance_to(label: Label, position: Position) -> float | None:
    """Distance in kilometres from a position to a landmark; None if the vocabulary gives no position for it.

    If the landmark has several places (``elsewhere``: pairs of latitude and longitude), the nearest one counts.
    """
    own = position_of(label)
    if own is None:
        return None
    elsewhere = (Position(*place) for place in label.details.get("elsewhere", ()))
    return min(distance_km(place, position) for place in (own, *elsewhere))


def is_near(label: Label, position: Position) -> bool | None:
    """Whether a photo taken at a position may show a landmark; None if the vocabulary gives no position for it."""
    distance = distance_to(label, position)
    return None if distance is None else distance <= float(label.details.get("radius_km", NEAR_KM))


def nearest(vocabulary: Vocabulary, position: Position) -> tuple[Label, float] | None:
    """The landmark nearest to a position, and its distance in kilometres; None if no label has a position."""
    known = [(label, km) for label in vocabulary if (km := distance_to(label, position)) is not None]
    return min(known, key=lambda pair: pair[1], default=None)


def map_links(label: Label) -> dict[str, str]:
    """Links to a landmark on OpenStreetMap, Google Maps and Naver Map, by its position if known, else by its name."""
    name, position = quote(label.tag), position_of(label)
    if position is None:
        osm, query = f"search?query={name}", name
    else:
        latitude, longitude = position
        osm = f"?mlat={latitude}&mlon={longitude}#map=16/{latitude}/{longitude}"
        query = f"{latitude}%2C{longitude}"
    return {
        "OpenStreetMap": f"https://www.openstreetmap.org/{osm}",
        "Google Maps": f"https://www.google.com/maps/search/?api=1&query={query}",
        "Naver Map": f"https://map.naver.com/p/search/{name}",
    }


def taken_at(photo: "str | os.PathLike[str]") -> Position | None:
    """Position at which a photo was taken, from its EXIF; None if it is missing or invalid.

    Raises:
        ImageError: The file is not a photo, or a photo too large to be read at all.
    """
    register_heic()
    try:
        with open_photo(Path(photo), str(photo)) as image:
            return _gps(image)
    except OSError as error:
        raise ImageError(f"{photo}: {cause_of(error)}") from error


def _gps(image: "Image") -> Position | None:
    try:
        gps = image.getexif().get_ifd(_GPS)
        latitude, longitude = (
            (-1 if str(gps[reference]).strip("\0 ").upper() in ("S", "W") else 1)
            * sum(float(part) / 60**power for power, part in enumerate(gps[number]))
            for reference, number in (_LATITUDE, _LONGITUDE)
        )
    # No GPS entry, or damaged EXIF, which can raise anything.
    except Exception:
        return None
    # Negated so that NaN, Pillow's value for 0/0, is rejected too. Cameras without a GPS fix write 0, 0.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude, longitude) == (0, 0):
        return None
    return Position(latitude, longitude)


def write_map(labels: Sequence[Label], taken: Position | None, path: Path) -> None:
    """Write an HTML map that marks landmarks and where the photo was taken; it needs no API key.

    Args:
        labels: Landmarks; those without a position are left out.
        taken: Where the photo was taken, marked in another colour.
        path: HTML file to write.

    Raises:
        MissingExtraError: folium is not installed.
        HashtaggerError: There is nothing to mark, or the file cannot be written.
    """
    try:
        import folium
    except ImportError as error:
        raise MissingExtraError(_("maps require folium: pip install '.[map]' in a clone of hashtagger")) from error
    marks = [(label.tag, position, "red") for label in labels if (position := position_of(label)) is not None]
    if taken is not None:
        marks.append((_("the photo's GPS"), taken, "blue"))
    if not marks:
        raise HashtaggerError(_("nothing to put on a map: no place is known"))
    page = folium.Map(location=marks[0][1], zoom_start=15)
    for name, position, colour in marks:
        folium.Marker(position, popup=html.escape(name), icon=folium.Icon(color=colour)).add_to(page)
    if len(marks) > 1:
        page.fit_bounds([position for _name, position, _colour in marks], max_zoom=15)
    try:
        page.save(str(path))
    except OSError as error:
        raise HashtaggerError(f"{path}: {cause_of(error)}") from error
