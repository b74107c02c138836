"""Guess which posts were written by the same person from the tags they share, without any names."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from hashtagger.groups import merge

# Two posts have the same author if they share at least _SHARED rare tags, and at least _SHARE of the rare tags of the
# post that has fewer of them.
_RARE = range(2, 21)  # a tag is rare if this many posts use it
_SHARED = 4
_SHARE = 0.3
# Two posts are copies if each has at least _MANY tags and they share at least _COPIED of the longer post's tags.
_MANY = 10
_COPIED = 0.8


def group_by_author(posts: Sequence[Sequence[str]]) -> list[int]:
    """Group posts by their likely author.

    Two posts have the same author if they share at least four rare tags and 30 % of the rare tags of the post that has
    fewer of them, or if both have at least ten tags and they share 80 % of the longer post's tags, however common.
    Grouping is transitive. Reposts and adverts also end up in one group; most posts are in a group of their own.

    Args:
        posts: The tags of each post, normalized so that equal tags are equal strings.

    Returns:
        A group number for each post; posts with the same number have the same author.
    """
    sets = [set(post) for post in posts]
    uses = Counter(tag for tags in sets for tag in tags)
    return merge(len(posts), chain(_pairs_by_rare_tags(sets, uses), _copies(sets, uses)))


def _pairs_by_rare_tags(posts: Sequence[set[str]], uses: Counter[str]) -> Iterator[tuple[int, int]]:
    rare = [{tag for tag in post if uses[tag] in _RARE} for post in posts]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, tags in enumerate(rare):
        for tag in tags:
            holders[tag].append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for found in holders.values():
        shared.update((a, b) for i, a in enumerate(found) for b in found[i + 1 :])
    for (a, b), count in shared.items():
        if count >= _SHARED and count >= _SHARE * min(len(rare[a]), len(rare[b])):
            yield a, b


def _copies(posts: Sequence[set[str]], uses: Counter[str]) -> Iterator[tuple[int, int]]:
    holders: dict[str, list[int]] = defaultdict(list)
    for number, tags in enumerate(posts):
        if len(tags) < _MANY:
            continue
        # Copies have at least one of their rarest few tags in common, so only those tags are indexed.
        few = int(len(tags) * (1 - _COPIED)) + 1
        for tag in sorted(tags, key=lambda tag: (uses[tag], tag))[:few]:
            for other in holders[tag]:
                if len(tags & posts[other]) >= _COPIED * max(len(tags), len(posts[other])):
                    yield other, number
            holders[tag].append(number)
