"""Propose tags from a user's own posts that look like variants of a label, for the user to confirm."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hashtagger.lexicon import fold
from hashtagger.normalize import Normalizer, normalize
from hashtagger.related import KEPT, bundled, is_spam
from hashtagger.tagtext import parts

_LEAST_USES = 3
_LEAST_SHARE = 0.8  # share of a tag's posts that must have the same label
_MANY = 4  # labels among a tag's related tags that make it an everyday word


class Proposal(NamedTuple):
    """Tags that look like variants of a label.

    Attributes:
        key: The label's key.
        tags: The tags, most used first, each with the number of posts that contain it.
    """

    key: str
    tags: tuple[tuple[str, int], ...]


def propose(posts: Iterable[Sequence[str]], normalizer: Normalizer) -> list[Proposal]:
    """Find tags that the normalizer does not know, but that the user mostly writes in posts with one label.

    A tag is proposed if at least three posts contain it and at least 80 % of those have the same label, judging by
    their other tags. For a label that most posts have anyway the threshold is higher: halfway between the label's share
    of all posts and 100 %. Everyday words, which others write with many labels (일상, 주말), are not proposed.

    Args:
        posts: The tags of each post, as typed.
        normalizer: Decides which tags are already known.

    Returns:
        A proposal for each label with such tags, ordered by the label's most used one.
    """
    uses: Counter[str] = Counter()
    of_label: Counter[tuple[str, str]] = Counter()
    posts_of: Counter[str] = Counter()
    shown: dict[str, str] = {}
    total = 0
    for tags in posts:
        total += 1
        unknown: dict[str, None] = {}  # in order, which decides between tags used equally often
        keys: set[str] = set()
        for part in parts(tags):
            found = normalizer.normalize(part)
            keys.update(found.canonical[:1])
            if found.rule == "unknown" and (name := fold(part)) and not is_spam(name):
                unknown[name] = None
                shown.setdefault(name, part)
        posts_of.update(keys)
        uses.update(unknown.keys())
        of_label.update((name, key) for name in unknown for key in keys)
    groups: dict[str, list[tuple[str, int]]] = {}
    for name, count in uses.most_common():
        if count < _LEAST_USES:
            break
        share, key = max(((of_label[name, key] / count, key) for key in posts_of), default=(0.0, ""))
        # A tag used everywhere also appears with this label, so its share must exceed the label's overall share.
        if share >= max(_LEAST_SHARE, (1 + posts_of[key] / total) / 2) and not _is_everyday(name):
            groups.setdefault(key, []).append((shown[name], count))
    return [Proposal(key, tuple(tags)) for key, tags in groups.items()]


def _is_everyday(tag: str) -> bool:
    """Whether people write a tag with many of the twenty hashtags, judging by its related tags."""
    return len({key for other in bundled().of(tag, KEPT) for key in normalize(other).canonical[:1]}) >= _MANY
