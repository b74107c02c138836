"""The file store: photos and videos in a folder for each user, named by content hash, with cached smaller copies."""

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
# Decoding needs memory in proportion to the photo, so only a few photos are decoded at once.
_decoding = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Kept:
    """A stored file: ``digest`` and ``suffix`` name it, ``kind`` is ``"photo"`` or ``"video"``."""

    digest: str
    suffix: str
    kind: str


class Photos:
    """The file store of one user.

    Args:
        data_dir: The server's data folder.
        user: The user's id.
    """

    def __init__(self, data_dir: Path, user: int) -> None:
        self.root = data_dir / "users" / str(user)

    def keep(self, stream: BinaryIO, limit: int) -> Kept:
        """Store a stream's content, synced to disk before this returns; the same content is stored only once.

        Raises:
            ImageError: It is neither a photo nor a video, is empty, or is larger than ``limit`` bytes.
        """
        descriptor, path = self._new_file()
        digest, head = hashlib.sha256(), b""
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

    def _new_file(self, suffix: str = "") -> tuple[int, Path]:
        """Create a temporary file where the next server deletes it if this one is killed."""
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=incoming, suffix=suffix)
        return descriptor, Path(name)

    def path(self, digest: str, suffix: str) -> Path:
        """Return the path of a stored file."""
        return self.root / "photos" / digest[:2] / f"{digest}.{suffix}"

    def smaller(self, digest: str, suffix: str, size: Size) -> Path:
        """Return the path of a reduced, upright JPEG of a photo, made on the first call.

        Raises:
            ImageError: The photo cannot be decoded, or was deleted meanwhile.
        """
        source = self.path(digest, suffix)
        return self.cached(source, f"{size}.jpg", lambda: _shrink(source, SIDES[size]))

    def cached(self, source: Path, ending: str, make: Callable[[], "Image"]) -> Path:
        """Return the path of a picture derived from a stored file, made if it is not in the cache.

        Args:
            source: The stored file.
            ending: Appended to the file's stem to name the picture.
            make: Makes the picture.

        Raises:
            ImageError: The file was deleted meanwhile.
        """
        path = self.root / "cache" / source.parent.name / f"{source.stem}.{ending}"
        if not path.exists():
            image = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, made = self._new_file(path.suffix)
            os.close(descriptor)
            try:
                image.save(made, quality=85)
                made.replace(path)
            finally:
                made.unlink(missing_ok=True)
            if not source.exists():  # forget() may have cleared the cache before this picture was added
                path.unlink(missing_ok=True)
                raise ImageError(_("there is nothing here"))
        return path

    def forget(self, digest: str, suffix: str) -> None:
        """Delete a file and the pictures derived from it."""
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
        ImageError: It is not a photo, or has more than ``most_pixels``.
    """
    from PIL import Image, UnidentifiedImageError

    with _decoding:
        if most_pixels is not None:
            try:
                with Image.open(path) as image:
                    pixels = image.width * image.height
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
                pixels = 0  # load_image reports the error
            except Image.DecompressionBombError:
                pixels = most_pixels + 1
            if pixels > most_pixels:
                raise ImageError(_("more than {limit} megapixels").format(limit=most_pixels // 1_000_000))
        try:
            return load_image(path, shorter_side=shorter_side)
        except ImageError as error:
            # The user does not know the file's stored name, and the decoder's own message is always in English.
            raise ImageError(str(error).removeprefix(f"{path}: ").removesuffix(f" ({error.__cause__})")) from error
