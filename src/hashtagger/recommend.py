"""Recommend hashtags, with calibrated scores, for photos."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from hashtagger.arrays import Array
from hashtagger.errors import ImageError
from hashtagger.history import History, Past
from hashtagger.i18n import _
from hashtagger.images import ImageLike, as_photos, is_one, load_image
from hashtagger.once import once
from hashtagger.related import related
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from torch import nn

_BATCH = 32
"""Photos per forward pass."""
_RELATED = 10
T = TypeVar("T")


@dataclass(frozen=True)
class Recommendation:
    """One hashtag recommended for a photo; ``str()`` gives the tag with ``#``.

    Attributes:
        tag: The hashtag without ``#``.
        score: Calibrated probability in 0..1 that the tag is right.
        label: The vocabulary's entry.
        related: Up to ten tags that people often use with it, best first.
    """

    tag: str
    score: float
    label: Label = field(repr=False)
    related: list[str] = field(default_factory=list, repr=False, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON-serializable types, as printed by ``hashtagger recommend --json``.

        Returns:
            ``tag``, ``key``, ``score`` (rounded to four places) and ``related``.
        """
        return {"tag": self.tag, "key": self.key, "score": round(self.score, 4), "related": list(self.related)}

    @property
    def key(self) -> str:
        """The label's key: ``"dog"``."""
        return self.label.key

    def __str__(self) -> str:
        return f"#{self.tag}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class Recommender:
    """A network with its vocabulary, loaded once and used for many photos.

    Pickling stores only the constructor arguments; unpickling loads the network again.

    Args:
        vocabulary: A Vocabulary, its name or its file. Defaults to the vocabulary that the weights file names, or to
            ``"hashtags_ko"`` if no weights are given.
        weights: A weights file (``.safetensors`` or ``.onnx``), which is sufficient on its own, or the name of one of
            the vocabulary's networks, such as ``"tf_efficientnet_lite2"``. Defaults to the first of these.
        device: A torch device name, or ``"auto"``: CUDA, then Apple's MPS, then the CPU (always the CPU for ONNX).
        runtime: ``"torch"``, ``"onnx"`` (CPU only), or ``"auto"``: the fastest installed runtime that preserves
            accuracy, see :func:`hashtagger.models.runtimes.choose`.

    Attributes:
        vocabulary: The labels, in the order of the scores.
        config: The config stored in the weights file.
        choice: The runtime in use, its file, and why it was chosen.
        device: The device in use.

    Raises:
        VocabularyError: There is no such vocabulary.
        WeightsError: There are no weights for it, or they are damaged or have labels that it lacks.
        HashtaggerError: The device or the runtime is not available.
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike[str] | Vocabulary | None = None,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        runtime: Literal["auto", "torch", "onnx"] = "auto",
    ) -> None:
        from hashtagger.models.device import find_device
        from hashtagger.models.find import locate_weights
        from hashtagger.models.labels import labels_of
        from hashtagger.models.runtimes import choose, open_runtime
        from hashtagger.models.weights import read_config

        self._given = (vocabulary, weights, device, runtime)
        wanted = None if vocabulary is None else load_vocabulary(vocabulary)
        name = vocabulary.name if isinstance(vocabulary, Vocabulary) else vocabulary or "hashtags_ko"
        self._weights = locate_weights(weights, name)
        named = weights is None or self._weights != Path(weights)
        onnx = runtime == "onnx" or self._weights.suffix == ".onnx"
        self.device = find_device("cpu" if onnx and device == "auto" else device)
        self.choice = choose(self._weights, self.device, runtime, bundled=named)
        self.config = read_config(self.choice.file)
        self.vocabulary = labels_of(self.config, self._weights, wanted)
        self._compute = open_runtime(self.choice, self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given

    @cached_property
    def model(self) -> "nn.Module":
        """The network as a float32 torch module for inspection, whichever runtime computes the scores.

        Raises:
            WeightsError: The weights are an ONNX file, which torch cannot load.
        """
        import torch

        from hashtagger.models.weights import load_weights

        model, _config = load_weights(self._weights)
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def image_size(self) -> int:
        """Side length, in pixels, of the network's square input."""
        return self.config.image_size

    def scores(self, images: ImageLike | Iterable[ImageLike]) -> Array:
        """Score every label for every photo.

        Args:
            images: Photos, each in any form that :func:`hashtagger.images.load_image` accepts; a single photo counts as
                a list of one.

        Returns:
            float32 (photos, labels): calibrated probabilities in the vocabulary's order. Each row sums to 1.

        Raises:
            ImageError: A photo cannot be read; the message names its path, or its number counted from 1.
        """
        import numpy as np

        prepared = map(self._prepare_numbered, count(1), as_photos(images))
        rows = [self.score_pixels(np.stack(batch)) for batch in _batches(prepared)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.vocabulary)), np.float32)

    def prepare(self, image: ImageLike) -> Array:
        """Convert a photo to the network's input. This method is thread-safe.

        Returns:
            float32 (3, :attr:`image_size`, :attr:`image_size`), normalized.

        Raises:
            ImageError: The photo cannot be read.
        """
        from hashtagger.models.preprocess import preprocess

        return preprocess(load_image(image, shorter_side=self.image_size), self.config)

    def score_pixels(self, pixels: Array) -> Array:
        """Score every label for photos prepared by :meth:`prepare`.

        Args:
            pixels: float32 (photos, 3, :attr:`image_size`, :attr:`image_size`).

        Returns:
            float32 (photos, labels), as from :meth:`scores`.
        """
        import numpy as np

        scaled = self._compute(pixels) / np.float32(self.config.temperature)
        powers: Array = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def score_readable(self, prepared: Iterable[Array | ImageError]) -> Iterator[Array | ImageError]:
        """Score a batch of photos, some of which may be unreadable.

        Args:
            prepared: For each photo, the result of :meth:`prepare` or the ImageError that it raised.

        Yields:
            For each photo, in order: its scores, float32 (labels,), or its ImageError.
        """
        import numpy as np

        batch = list(prepared)
        readable = [pixels for pixels in batch if not isinstance(pixels, ImageError)]
        rows = iter(self.score_pixels(np.stack(readable)) if readable else ())
        for pixels in batch:
            yield pixels if isinstance(pixels, ImageError) else next(rows)

    @overload
    def recommend(  # type: ignore[overload-overlap]  # text is a path, not its letters
        self,
        image: ImageLike,
        *,
        top_k: int = ...,
        threshold: float | None = ...,
        history: Past | None = ...,
    ) -> list[Recommendation]: ...
    @overload
    def recommend(
        self,
        image: Iterable[ImageLike],
        *,
        top_k: int = ...,
        threshold: float | None = ...,
        history: Past | None = ...,
    ) -> list[list[Recommendation]]: ...
    def recommend(
        self,
        image: ImageLike | Iterable[ImageLike],
        *,
        top_k: int = 5,
        threshold: float | None = None,
        history: Past | None = None,
    ) -> list[Recommendation] | list[list[Recommendation]]:
        """Recommend hashtags for a photo, or for each of several.

        Args:
            image: One photo, or several: a list, an iterator, or an array (n, height, width, 3).
            top_k: Maximum number of tags, best first.
            threshold: Tags with a probability below this (0..1) are left out; defaults to the threshold stored in the
                weights file. If no tag reaches it, the list is empty.
            history: The user's past tags, which shift the scores and the spelling of tags towards their habits: a
                :class:`~hashtagger.history.History`, posts, or tags.

        Raises:
            ImageError: A photo cannot be read.
            ValueError: ``top_k`` is below 1 or ``threshold`` outside 0..1.
        """
        choose = self._chooser(top_k, threshold, history)
        if is_one(image):
            return choose(self.score_pixels(self.prepare(image)[None])[0])
        return [choose(scores) for scores in self.scores(image)]

    @overload
    def recommend_each(
        self,
        images: ImageLike,
        *,
        top_k: int = ...,
        threshold: float | None = ...,
        history: Past | None = ...,
    ) -> Iterator[tuple[ImageLike, list[Recommendation] | ImageError]]: ...
    @overload
    def recommend_each(
        self,
        images: Iterable[T],
        *,
        top_k: int = ...,
        threshold: float | None = ...,
        history: Past | None = ...,
    ) -> Iterator[tuple[T, list[Recommendation] | ImageError]]: ...
    def recommend_each(
        self,
        images: ImageLike | Iterable[T],
        *,
        top_k: int = 5,
        threshold: float | None = None,
        history: Past | None = None,
    ) -> Iterator[tuple[Any, list[Recommendation] | ImageError]]:
        """Recommend hashtags for a stream of photos; an unreadable photo yields its ImageError instead of raising it.

        Args:
            images: Photos, as in :meth:`scores`.
            top_k: Maximum number of tags for each photo, best first.
            threshold: As in :meth:`recommend`.
            history: As in :meth:`recommend`.

        Returns:
            An iterator of (input, recommendations or ImageError) pairs, in order.

        Raises:
            ValueError: As in :meth:`recommend`.
        """
        return self._each(as_photos(images), self._chooser(top_k, threshold, history))

    def _each(
        self, images: Iterable[T], choose: Callable[[Array], list[Recommendation]]
    ) -> Iterator[tuple[T, list[Recommendation] | ImageError]]:
        for batch in _batches(images):
            for image, scores in zip(batch, self.score_readable(map(self._try, batch)), strict=True):
                yield image, scores if isinstance(scores, ImageError) else choose(scores)

    def heatmap(self, image: ImageLike, key: str) -> Array:
        """Show how much each part of a photo looks like a label; see :func:`hashtagger.explain.heatmap.heat_map`.

        Args:
            image: One photo.
            key: The label's key or tag: ``"dog"``, ``"#강아지"``.

        Returns:
            float32 (height, width) of the upright photo, in 0..1.

        Raises:
            ImageError: The photo cannot be read.
            VocabularyError: There is no such label.
            MissingExtraError: The network is not a DRN and grad-cam is not installed.
        """
        from hashtagger.explain.heatmap import heat_map

        return heat_map(self.model, self.config, load_image(image), self.vocabulary.index(key))

    def _prepare_numbered(self, number: int, image: ImageLike) -> Array:
        try:
            return self.prepare(image)
        except ImageError as error:
            if isinstance(image, str | os.PathLike):
                raise
            raise ImageError(_("photo {number}: {cause}").format(number=number, cause=error)) from error

    def _try(self, image: Any) -> Array | ImageError:
        try:
            return self.prepare(image)
        except ImageError as error:
            return error

    def _chooser(
        self, top_k: int, threshold: float | None, history: Past | None
    ) -> Callable[[Array], list[Recommendation]]:
        """Check the options of :meth:`recommend`, and return a function from a photo's scores to recommendations."""
        if top_k < 1:
            raise ValueError(f"top_k must be 1 or more, not {top_k}")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in 0..1, not {threshold}")
        least = self.config.threshold if threshold is None else threshold
        habits = None if history is None else History.of(history)

        def recommended(label: Label, score: float) -> Recommendation:
            if habits is None:
                return Recommendation(label.tag, score, label, related(label.tag, _RELATED))
            return Recommendation(habits.spelling(label), score, label, habits.companions(label, _RELATED))

        def choose(scores: Array) -> list[Recommendation]:
            if habits is not None:
                scores = habits.adjust(scores, self.vocabulary)
            best = scores.argsort(kind="stable")[::-1][:top_k]
            return [recommended(self.vocabulary.labels[i], float(scores[i])) for i in best if scores[i] >= least]

        return choose


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


@once
def _shared(vocabulary: str | Vocabulary) -> Recommender:
    return Recommender(vocabulary)


@overload
def recommend(  # type: ignore[overload-overlap]  # text is a path, not its letters
    image: ImageLike,
    *,
    top_k: int = ...,
    threshold: float | None = ...,
    history: Past | None = ...,
    vocabulary: str | os.PathLike[str] | Vocabulary = ...,
) -> list[Recommendation]: ...
@overload
def recommend(
    image: Iterable[ImageLike],
    *,
    top_k: int = ...,
    threshold: float | None = ...,
    history: Past | None = ...,
    vocabulary: str | os.PathLike[str] | Vocabulary = ...,
) -> list[list[Recommendation]]: ...
def recommend(
    image: ImageLike | Iterable[ImageLike],
    *,
    top_k: int = 5,
    threshold: float | None = None,
    history: Past | None = None,
    vocabulary: str | os.PathLike[str] | Vocabulary = "hashtags_ko",
) -> list[Recommendation] | list[list[Recommendation]]:
    """Recommend hashtags for a photo, or for each of several, with the bundled weights.

    The first call loads the network, and later calls reuse it. See :meth:`Recommender.recommend` for the arguments.

    Returns:
        ``list[Recommendation]`` for one photo, a list of such lists for several.

    Raises:
        ImageError: A photo cannot be read.
        VocabularyError: There is no such vocabulary.
        WeightsError: There are no weights for it.
    """
    known = vocabulary if isinstance(vocabulary, Vocabulary) else os.fspath(vocabulary)
    return _shared(known).recommend(image, top_k=top_k, threshold=threshold, history=history)
