"""Proposes, from a user's own posts, tags that look like variants of a label; the user confirms them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hashtagger.lexicon import fold
from hashtagger.normalize import Normalizer
from hashtagger.related import is_spam
from hashtagger.tagtext import parts

_LEAST_USES = 3
_LEAST_SHARE = 0.8  # of a tag's posts that are of one label, for it to look like a variant


class Proposal(NamedTuple):
    """Tags that look like variants of a label.

    Attributes:
        key: The label's key.
        tags: The tags, the most used first, with how many posts hold each.
    """

    key: str
    tags: tuple[tuple[str, int], ...]


def propose(posts: Iterable[Sequence[str]], normalizer: Normalizer) -> list[Proposal]:
    """Find tags that mean nothing to the normalizer, but that a user writes where one label is meant.

    A tag is proposed when three posts or more hold it and at least 80 % of those are of one label by their other
    tags. Where most posts are of that label anyway, more is asked: halfway between its share of all posts and 100 %.

    Args:
        posts: The tags of each post, as typed.
        normalizer: Tells what is known already.

    Returns:
        A proposal for each label that has one, the most used first.
    """
    uses: Counter[str] = Counter()
    of_label: Counter[tuple[str, str]] = Counter()
    posts_of: Counter[str] = Counter()
    shown: dict[str, str] = {}
    total = 0
    for tags in posts:
        total += 1
        unknown: set[str] = set()
        keys: set[str] = set()
        for part in parts(tags):
            found = normalizer.normalize(part)
            keys.update(found.canonical[:1])
            if found.rule == "unknown" and (name := fold(part)) and not is_spam(name):
                unknown.add(name)
                shown.setdefault(name, part)
        posts_of.update(keys)
        uses.update(unknown)
        of_label.update((name, key) for name in unknown for key in keys)
    groups: dict[str, list[tuple[str, int]]] = {}
    for name, count in uses.most_common():
        if count < _LEAST_USES:
            break
        share, key = max(((of_label[name, key] / count, key) for key in posts_of), default=(0.0, ""))
        # What is beside everything is beside this label too; it must be more at home here than posts are at large.
        if share >= max(_LEAST_SHARE, (1 + posts_of[key] / total) / 2):
            groups.setdefault(key, []).append((shown[name], count))
    return [Proposal(key, tuple(tags)) for key, tags in groups.items()]
