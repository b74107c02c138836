"""The pipeline: photos are decoded by threads while the network scores the batch before; rows come out in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from hashtagger.arrays import Array
from hashtagger.errors import ImageError
from hashtagger.posts.mojibake import escaped
from hashtagger.scale.storage import open_photo

if TYPE_CHECKING:
    from hashtagger.recommend import Recommender

Row = dict[str, Any]
"""What is said of one photo.

``photo`` is its path or URL, ``tags`` a list of ``{"tag", "key", "score"}`` (those that the network is sure of, best
first, at most five), ``best`` its first guess in the same form, sure or not, and ``error`` why the photo could not be
read, else None; then ``best`` is None.
"""

_TOP_K = 5
A = TypeVar("A")
B = TypeVar("B")


def tag(recommender: "Recommender", photos: Iterable[str], *, batch: int, threads: int) -> Iterator[Row]:
    """Tag a stream of photos in constant memory; one that cannot be read costs only itself.

    Batches are cut by the photos' places in the stream, readable or not, so that the same photos share a batch and
    get the same scores whenever the stream starts at a multiple of ``batch``.

    Args:
        recommender: The network.
        photos: Paths and URLs.
        batch: Photos that go through the network at once, 1 or more.
        threads: Photos that are decoded at once, 1 or more; three batches at most are held.

    Yields:
        A row for each photo, in order.
    """

    def prepare(photo: str) -> Array | ImageError:
        try:
            return recommender.prepare(open_photo(photo))
        except ImageError as error:
            return error

    prepared = ahead(prepare, photos, threads=threads, window=2 * batch)
    while group := list(islice(prepared, batch)):
        scored = recommender.score_readable(pixels for _photo, pixels in group)
        for (photo, _pixels), scores in zip(group, scored, strict=True):
            # A name may be made of any bytes, a table holds text.
            if isinstance(scores, ImageError):
                yield {"photo": escaped(photo), "tags": [], "best": None, "error": escaped(str(scores))}
            else:
                yield _row(escaped(photo), scores, recommender)


def ahead(function: Callable[[A], B], items: Iterable[A], *, threads: int, window: int) -> Iterator[tuple[A, B]]:
    """Call a function for each item in threads, up to ``window`` items before their results are asked for, in order."""
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[A, Future[B]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > window:
                first, result = waiting.popleft()
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _row(photo: str, scores: Array, recommender: "Recommender") -> Row:
    order = scores.argsort(kind="stable")[::-1][:_TOP_K]
    labels = [recommender.vocabulary.labels[i] for i in order]
    guesses = [
        {"tag": label.tag, "key": label.key, "score": round(float(score), 4)}
        for label, score in zip(labels, scores[order], strict=True)
    ]
    sure = int((scores[order] >= recommender.config.threshold).sum())
    return {"photo": photo, "tags": guesses[:sure], "best": guesses[0], "error": None}
