"""Handling user input: photos to recommend for, and paths on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fastapi import HTTPException

from hashtagger.errors import ImageError, cause_of
from hashtagger.i18n import _
from hashtagger.recommend import Recommendation
from hashtagger.serving.engine import Question
from hashtagger.serving.photos import decode
from hashtagger.serving.services import Services


def recommend_file(services: Services, path: Path, question: Question) -> list[Recommendation]:
    """Recommend tags for an untrusted photo file.

    Raises:
        ImageError: It is not a readable photo, or has too many pixels.
        HashtaggerError: There are no weights for the vocabulary.
    """
    side = services.engine.recommender(question.vocabulary).image_size
    image = decode(path, shorter_side=side, most_pixels=services.settings.photo_pixels)
    # Free the pixels that the network does not need before waiting for it.
    image.thumbnail((4 * side, 4 * side))
    return services.engine.recommend(question, image)


@contextmanager
def on_disk(stream: BinaryIO, limit: int) -> Iterator[Path]:
    """Write a stream of at most ``limit`` bytes to a temporary file.

    Raises:
        ImageError: The stream is longer.
    """
    with TemporaryDirectory(prefix="hashtagger-") as folder:
        path = Path(folder, "photo")
        with path.open("wb") as file:
            while chunk := stream.read(1 << 20):
                if file.tell() + len(chunk) > limit:
                    raise ImageError(_("larger than {limit} MB").format(limit=limit >> 20))
                file.write(chunk)
        yield path


def local_path(text: str) -> Path:
    """Parse an absolute path on this machine, as typed or as copied from a file manager (quoted, or a ``file://`` URL).

    Raises:
        HTTPException: 422 if it is not absolute or may not be accessed.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    try:
        if text.lower().startswith("file://"):
            text = url2pathname(urlsplit(text).path)
        path = Path(text).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (RuntimeError, ValueError):  # an unknown user in "~someone", or not a path at all
        path = Path()
    except OSError as error:
        raise HTTPException(422, f"{path}: {cause_of(error)}") from error
    if not path.is_absolute():
        raise HTTPException(422, _("give the absolute path of the folder, starting with / or a drive letter"))
    return path
