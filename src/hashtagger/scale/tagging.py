"""The tagging pipeline: threads decode photos ahead while the network scores a batch; rows are yielded in order."""

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
"""The result for one photo.

``photo`` is its path or URL; ``tags`` a list of ``{"tag", "key", "score"}``, at most five, best first, with scores that
reach the threshold; ``best`` the best tag in the same form, whatever its score, or None if the photo could not be read;
``error`` why it could not be read, else None.
"""

_TOP_K = 5
A = TypeVar("A")
B = TypeVar("B")


def tag(recommender: "Recommender", photos: Iterable[str], *, batch: int, threads: int) -> Iterator[Row]:
    """Tag a stream of photos in constant memory; an unreadable photo does not affect the others.

    Unreadable photos keep their places in the batches, so a stream that starts at any multiple of ``batch`` is
    split into the same batches, and its photos get the same scores.

    Args:
        recommender: The network.
        photos: Paths and URLs.
        batch: Batch size of the network, 1 or more.
        threads: Photos decoded at once, 1 or more; at most about three batches of photos are in memory.

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
            # A file name may be arbitrary bytes, but a table holds valid text only.
            if isinstance(scores, ImageError):
                yield {"photo": escaped(photo), "tags": [], "best": None, "error": escaped(str(scores))}
            else:
                yield _row(escaped(photo), scores, recommender)


def ahead(function: Callable[[A], B], items: Iterable[A], *, threads: int, window: int) -> Iterator[tuple[A, B]]:
    """Call a function in threads on each item, up to ``window`` items ahead; yield items and results in order."""
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
