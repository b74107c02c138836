"""Photos as files: each user's in a folder of their own, named by content; smaller copies made once and kept."""

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from hashtagger.errors import ImageError
from hashtagger.i18n import _
from hashtagger.images import load_image
from hashtagger.posts import sniff

if TYPE_CHECKING:
    from PIL.Image import Image

SIDES = {"thumb": 480, "large": 1920}
Size = Literal["thumb", "large"]
_CHUNK = 1 << 20
# Decoding takes memory by the photo's size; so many at once are bounded, however many ask.
_decoding = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Kept:
    """A file of the store: what it is found by, and what it holds."""

    digest: str
    suffix: str
    kind: str


class Photos:
    """The files of one user.

    Args:
        data_dir: The server's data folder.
        user: The user's id.
    """

    def __init__(self, data_dir: Path, user: int) -> None:
        self.root = data_dir / "users" / str(user)

    def keep(self, stream: BinaryIO, limit: int) -> Kept:
        """Store what a stream holds, on the drive before this returns; the same content is stored once.

        Raises:
            ImageError: It is neither photo nor video, is empty or is larger than ``limit`` bytes.
        """
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=incoming)
        path, digest, head = Path(name), hashlib.sha256(), b""
        try:
            with os.fdopen(descriptor, "wb") as file:
                while chunk := stream.read(_CHUNK):
                    head = head or chunk[: sniff.HEAD]
                    if file.tell() + len(chunk) > limit:
                        raise ImageError(_("larger than {limit} MB").format(limit=limit >> 20))
                    digest.update(chunk)
                    file.write(chunk)
                found = sniff.of_bytes(head)
                if found is None:
                    raise ImageError(_("not a photo") if head else _("empty"))
                file.flush()
                os.fsync(file.fileno())
            kind, suffix = found
            final = self.path(digest.hexdigest(), suffix)
            final.parent.mkdir(parents=True, exist_ok=True)
            if not final.exists():
                path.replace(final)
        finally:
            path.unlink(missing_ok=True)
        return Kept(digest.hexdigest(), suffix, kind)

    def path(self, digest: str, suffix: str) -> Path:
        """Where a stored file lies."""
        return self.root / "photos" / digest[:2] / f"{digest}.{suffix}"

    def smaller(self, digest: str, suffix: str, size: Size) -> Path:
        """Give a photo as an upright JPEG that browsers can show, made at the first call.

        Raises:
            ImageError: It cannot be decoded, or is deleted meanwhile.
        """
        source = self.path(digest, suffix)
        return self.cached(source, f"{size}.jpg", lambda: _shrink(source, SIDES[size]))

    def cached(self, source: Path, ending: str, make: Callable[[], "Image"]) -> Path:
        """Give a picture made of a stored file, by ``make`` when it is not in the cache.

        Args:
            source: The stored file.
            ending: What the picture's name has after the file's.
            make: Makes it.

        Raises:
            ImageError: The file is deleted meanwhile.
        """
        path = self.root / "cache" / source.parent.name / f"{source.stem}.{ending}"
        if not path.exists():
            image = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
            os.close(descriptor)
            made = Path(name)
            try:
                image.save(made, quality=85)
                made.replace(path)
            finally:
                made.unlink(missing_ok=True)
            if not source.exists():  # then forget() may have passed here already
                path.unlink(missing_ok=True)
                raise ImageError(_("there is nothing here"))
        return path

    def forget(self, digest: str, suffix: str) -> None:
        """Delete a file and what was made of it."""
        self.path(digest, suffix).unlink(missing_ok=True)
        for path in (self.root / "cache" / digest[:2]).glob(f"{digest}.*"):
            path.unlink(missing_ok=True)


def _shrink(source: Path, side: int) -> "Image":
    image = decode(source, shorter_side=side)
    image.thumbnail((side, side))
    return image


def decode(path: Path, *, shorter_side: int | None = None, most_pixels: int | None = None) -> "Image":
    """Decode a photo, at most two at a time.

    Raises:
        ImageError: It is no photo, or of more than ``most_pixels``.
    """
    from PIL import Image, UnidentifiedImageError

    with _decoding:
        if most_pixels is not None:
            try:
                with Image.open(path) as image:
                    pixels = image.width * image.height
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
                pixels = 0  # load_image says what is wrong.
            except Image.DecompressionBombError:
                pixels = most_pixels + 1
            if pixels > most_pixels:
                raise ImageError(_("more than {limit} megapixels").format(limit=most_pixels // 1_000_000))
        try:
            return load_image(path, shorter_side=shorter_side)
        except ImageError as error:
            # The file's name here is none that the user knows, and a decoder's own words are English.
            raise ImageError(str(error).removeprefix(f"{path}: ").removesuffix(f" ({error.__cause__})")) from error
