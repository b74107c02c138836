"""The server's settings and limits."""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _

ZONE = ZoneInfo("Asia/Seoul")
"""Time zone of a post's day and month, and of all displayed times."""

MOST_TAGS = 5
"""Instagram's limit on hashtags in one post (it was 30 until December 2025)."""

_TILES = re.compile(r"https?://[\w.:-]+(?=/)(?=.*\{z})(?=.*\{x})(?=.*\{y})[\w./{}?=&%~+-]+", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """Settings of one server.

    Attributes:
        data_dir: Folder of the photos, the database and unfinished uploads.
        database_url: SQLAlchemy URL of the database; by default SQLite in ``data_dir``.
        accounts: Whether users sign up and log in; otherwise there is one local user.
        tiles: URL template of an OpenStreetMap tile server, with ``{z}``, ``{x}`` and ``{y}``. The map contacts it
            only after the user asks for streets; ``""`` for none.
        photo_bytes: Maximum size of a photo to recommend for.
        photo_pixels: Maximum number of pixels of such a photo.
        upload_bytes: Maximum size of one file uploaded into a library.
        upload_total: Maximum total size of one user's unfinished uploads.
        upload_files: Maximum number of files in one upload.
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
        """Scheme and host of the tile server; ``""`` for none."""
        return "/".join(self.tiles.split("/")[:3])


def read_settings(*, accounts: bool = False) -> Settings:
    """Read ``HASHTAGGER_DATA_DIR``, ``HASHTAGGER_DATABASE_URL`` and ``HASHTAGGER_TILES``; each has a default.

    Raises:
        HashtaggerError: ``HASHTAGGER_TILES`` is not the URL template of a tile server.
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
    """Return whether a host is a loopback address, reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
