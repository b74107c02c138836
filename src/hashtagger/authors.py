"""Guess which posts were written by one person, without names: from the tags that they share."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from hashtagger.groups import merge

_RARE = range(2, 21)  # posts that use a rare tag
_SHARED = 4  # rare tags that two posts of one author share at least,
_SHARE = 0.3  # and which part of the rare tags of the post with fewer
_MANY = 10  # tags that each of two posts has at least, for them to be copies of one another,
_COPIED = 0.8  # and which part of the longer post's tags they share


def group_by_author(posts: Sequence[Sequence[str]]) -> list[int]:
    """Number each post by its likely author.

    Two posts are one author's if they share four rare tags and three in ten of the shorter post's rare tags, or if
    they have ten tags or more each and share eight in ten, however common. Chains of such pairs are one author's too,
    and so are reposts and adverts. Most posts stay alone.

    Args:
        posts: The tags of each post, normalized, so that equal tags are equal strings.

    Returns:
        A number for each post; posts of one author have the same.
    """
    sets = [set(post) for post in posts]
    uses = Counter(tag for tags in sets for tag in tags)
    return merge(len(posts), chain(_of_rare_tags(sets, uses), _copies(sets, uses)))


def _of_rare_tags(posts: Sequence[set[str]], uses: Counter[str]) -> Iterator[tuple[int, int]]:
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
        # Two posts that share so many tags share one of the rarest few of each.
        few = int(len(tags) * (1 - _COPIED)) + 1
        for tag in sorted(tags, key=lambda tag: (uses[tag], tag))[:few]:
            for other in holders[tag]:
                if len(tags & posts[other]) >= _COPIED * max(len(tags), len(posts[other])):
                    yield other, number
            holders[tag].append(number)
