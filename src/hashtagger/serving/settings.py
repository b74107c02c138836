"""What the server may be told, and the bounds on what it takes in."""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _

MOST_TAGS = 5
"""Instagram takes no more hashtags in one post (30 until December 2025)."""

_TILES = re.compile(r"https?://[\w.:-]+(?=/)(?=.*\{z})(?=.*\{x})(?=.*\{y})[\w./{}?=&%~+-]+", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """How one server runs.

    Attributes:
        data_dir: Folder of the photos, the database and the uploads on their way.
        database_url: SQLAlchemy's address of the database; SQLite in ``data_dir`` by default.
        accounts: Whether people sign up and log in; otherwise there is one local user.
        timezone: IANA zone that tells a post's month.
        tiles: Address of a server of OpenStreetMap tiles, with ``{z}``, ``{x}`` and ``{y}``, that a map may ask once
            a person says so; ``""`` for none.
        photo_bytes: Largest photo to recommend for, and
        photo_pixels: its most pixels.
        upload_bytes: Largest file of a library on its way in.
        upload_total: Most bytes of one person's uploads on their way in.
        upload_files: Most files of one upload.
    """

    data_dir: Path
    database_url: str
    accounts: bool = False
    timezone: str = "Asia/Seoul"
    tiles: str = ""
    photo_bytes: int = 40 << 20
    photo_pixels: int = 64_000_000
    upload_bytes: int = 20 << 30
    upload_total: int = 100 << 30
    upload_files: int = 200_000

    @property
    def tiles_host(self) -> str:
        """Scheme and host of the tiles' address; ``""`` for none."""
        return "/".join(self.tiles.split("/")[:3])


def read_settings(*, accounts: bool = False) -> Settings:
    """Settings from ``HASHTAGGER_DATA_DIR``, ``HASHTAGGER_DATABASE_URL`` and ``HASHTAGGER_TILES``, or the defaults.

    Raises:
        HashtaggerError: The address of the tiles is none.
    """
    import platformdirs

    folder = Path(os.environ.get("HASHTAGGER_DATA_DIR") or platformdirs.user_data_dir("hashtagger")).absolute()
    url = os.environ.get("HASHTAGGER_DATABASE_URL") or f"sqlite:///{(folder / 'hashtagger.sqlite').as_posix()}"
    tiles = os.environ.get("HASHTAGGER_TILES", "")
    if tiles and not _TILES.fullmatch(tiles):
        raise HashtaggerError(
            f"HASHTAGGER_TILES={tiles}: " + _("give an address such as https://tile.openstreetmap.org/{z}/{x}/{y}.png")
        )
    return Settings(folder, url, accounts, tiles=tiles)


def is_loopback(host: str) -> bool:
    """Tell whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
