"""History: a user's tagging habits, learned from their past posts."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias, Union

from hashtagger.arrays import Array
from hashtagger.lexicon import fold, read_language
from hashtagger.normalize import Normalizer, default_normalizer
from hashtagger.posts.post import Post
from hashtagger.related import KEPT, bundled, is_spam
from hashtagger.tagtext import parts
from hashtagger.vocabulary import Label, Vocabulary

Past: TypeAlias = Union["History", Iterable[Post], Iterable[Sequence[str]], Iterable[str]]

_LISTED = ("exact", "variant")  # rules that look up a whole tag, rather than find a word in it
_LEAST = 2  # uses after which a spelling counts as a habit
# Weights for ranking companions, tuned with benchmarks/personal.py:
_OLDER = 0.85  # weight of a post relative to the next newer one with the label
_IMAGINED = 3.0  # pseudo-posts that stand for everyone else's related tags
_ECHO = 0.05  # share of its weight that one of the user's tags passes on to its related tags
_ECHOED = 10  # how many related tags receive it
_BESIDE = 0.4  # probability of a label's best related tag; falls linearly to 0 after the last one kept
_UNSEEN = 2.0  # pseudo-posts added to each label, so that labels never posted stay possible


class History:
    """A user's habits, learned from the tags of their posts.

    Args:
        posts: The tags of each post, as typed, oldest first. A plain string counts as a post with one tag, so a flat
            list of tags is many posts here (but a single post to :meth:`of`).
        normalizer: Maps tags to labels. Defaults to the normalizer of the twenty hashtags; pass
            ``Normalizer(user="mine.toml")`` to include the user's own words.
        strength: How strongly :meth:`adjust` weighs the user's past: 0 ignores it, 1 takes the share of each label
            among the user's posts at face value.

    Raises:
        TypeError: ``posts`` is a string.
        ValueError: ``strength`` is below 0 or not finite.
    """

    def __init__(
        self, posts: Iterable[Sequence[str]], normalizer: Normalizer | None = None, *, strength: float = 1.0
    ) -> None:
        if not 0 <= strength < math.inf:
            raise ValueError(f"strength must be 0 or more, not {strength}")
        if isinstance(posts, str):
            raise TypeError(f"give the tags of each post, [[{posts!r}]], not a string")
        self.strength = strength
        self._normalizer = normalizer or default_normalizer()
        self._posts: list[tuple[frozenset[str], frozenset[str]]] = []
        self._shown: dict[str, str] = {}
        self._spellings: dict[str, Counter[str]] = defaultdict(Counter)
        self._labels: Counter[str] = Counter()
        self._companions: dict[tuple[Label, int], list[str]] = {}
        for tags in posts:
            self._add(tags)

    @classmethod
    def from_posts(
        cls, posts: "Iterable[Post]", normalizer: Normalizer | None = None, *, strength: float = 1.0
    ) -> "History":
        """Create a history from posts in any order."""
        ordered = sorted(posts, key=lambda post: post.taken_at)
        return cls([post.tags for post in ordered], normalizer, strength=strength)

    @classmethod
    def of(cls, past: Past, normalizer: Normalizer | None = None) -> "History":
        """Create a history from any supported form of past posts. For many photos, create it once and reuse it.

        Args:
            past: A History, posts, the tags of each post (oldest first), or a single tag. A flat list of tags counts
                as one post, whereas the constructor treats each tag as a post.
            normalizer: As in the constructor; ignored if ``past`` is a History, which keeps its own.
        """
        if isinstance(past, History):
            return past
        entries = [past] if isinstance(past, str) else list(past)
        if all(isinstance(entry, str) for entry in entries):
            return cls([entries], normalizer)  # type: ignore[list-item]
        if all(isinstance(entry, Post) for entry in entries):
            return cls.from_posts(entries, normalizer)  # type: ignore[arg-type]
        return cls(entries, normalizer)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._posts)

    def _add(self, tags: Sequence[str]) -> None:
        suffixes = tuple(read_language()["suffixes"])
        names: set[str] = set()
        keys: set[str] = set()  # every label that a tag of the post can mean
        best: set[str] = set()  # only the first label of each tag
        for part in parts([tags] if isinstance(tags, str) else tags):
            name = fold(part)
            if not name:
                continue
            found = self._normalizer.normalize(part)
            keys.update(found.canonical)
            best.update(found.canonical[:1])
            if found.canonical and found.rule in _LISTED and not part.endswith(suffixes):
                key = found.canonical[0]
                own = self._normalizer.vocabulary[key].tag
                # A tag that contains the label's tag and more (봄나들이) is about the label, not a spelling of it.
                if part == own or (own not in part and self._normalizer.is_name(part, key)):
                    self._spellings[key][part] += 1
            if not is_spam(name):
                names.add(name)
                self._shown.setdefault(name, part)
        if names or keys:
            self._posts.append((frozenset(names), frozenset(keys)))
            self._labels.update(best)

    def spelling(self, label: Label) -> str:
        """Return the user's own tag for a label (``"댕댕이"``), in NFC, without ``#``; else the label's tag."""
        uses = self._spellings.get(label.key)
        if not uses:
            return label.tag
        tag, count = max(uses.items(), key=lambda use: (use[1], use[0] == label.tag))
        return tag if count >= _LEAST and count > uses[label.tag] else label.tag

    def companions(self, label: Label, k: int = 10) -> list[str]:
        """Rank the tags that the user is likely to write beside a label.

        These are the tags of the user's posts with that label, newer posts weighing more, combined with everyone's
        related tags, which count as three more posts. Tags related to the user's own gain a little. Posts without the
        label are ignored, so a user with no post of it gets the label's related tags.

        Args:
            label: The subject of the next post; its own tag is left out.
            k: Return at most this many.
        """
        if (label, k) not in self._companions:
            self._companions[label, k] = self._rank(label)[:k]
        return list(self._companions[label, k])

    def _rank(self, label: Label) -> list[str]:
        scores: dict[str, float] = defaultdict(float)
        weight = 1.0
        for names, keys in reversed(self._posts):
            if label.key in keys:
                for name in names:
                    scores[name] += weight
                weight *= _OLDER
        shown = dict(self._shown)

        def pass_on(tag: str, share: float, count: int) -> None:
            for place, other in enumerate(bundled().of(tag, count)):
                scores[fold(other)] += share * (1 - place / count)
                shown.setdefault(fold(other), other)

        # Sorted, because the order of sums changes their last digits, and that of a set differs between processes.
        for name, score in sorted(scores.items()):
            pass_on(name, _ECHO * score, _ECHOED)
        pass_on(label.tag, _IMAGINED * _BESIDE, KEPT)
        for tag in (label.tag, self.spelling(label)):
            scores.pop(fold(tag), None)
        return [shown[name] for name in sorted(scores, key=lambda name: (-scores[name], name))]

    def adjust(self, scores: Array, vocabulary: Vocabulary) -> Array:
        """Shift a model's probabilities towards what the user posts.

        This is Bayes' rule with the user's label frequencies as the prior instead of a uniform one: each probability
        is multiplied by the label's frequency relative to the mean, to the power of ``strength``, then all are rescaled
        to their previous sum. Without history, or with a strength of 0, nothing changes.

        Args:
            scores: Probabilities in 0..1, with the vocabulary's labels along the last axis.
            vocabulary: The labels.
        """
        import numpy as np

        counts = np.array([self._labels[key] for key in vocabulary.keys], dtype=float)
        prior = (counts + _UNSEEN) / (counts + _UNSEEN).mean()
        shifted = scores * prior**self.strength
        total = shifted.sum(axis=-1, keepdims=True)
        kept: Array = shifted * (scores.sum(axis=-1, keepdims=True) / np.where(total == 0, 1, total))
        return kept.astype(scores.dtype, copy=False)
