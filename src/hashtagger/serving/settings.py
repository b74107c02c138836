"""What the server may be told, and the bounds on what it takes in."""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _

ZONE = ZoneInfo("Asia/Seoul")
"""The time zone of a post's day and month, and of all times that are shown."""

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
        tiles: Address of a server of OpenStreetMap tiles, with ``{z}``, ``{x}`` and ``{y}``, that a map may ask once
            a person says so; ``""`` for none.
        photo_bytes: Size of the largest photo to recommend for.
        photo_pixels: Most pixels of such a photo.
        upload_bytes: Size of the largest file that may be uploaded into a library.
        upload_total: Bytes that one person's unfinished uploads may have together.
        upload_files: Most files of one upload.
    """

    data_dir: Path
    database_url: str
    accounts: bool = False
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
        HashtaggerError: ``HASHTAGGER_TILES`` is not the address of a server of tiles.
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
