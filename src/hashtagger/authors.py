"""Guesses which posts one person wrote, where no names are known: by the rare tags that they share."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from hashtagger.groups import merge

_RARE = range(2, 21)  # posts that a tag of one's own is in
_SHARED = 4  # rare tags that two posts of one author share at least
_SHARE = 0.3  # of the shorter post's rare tags


def group_by_author(posts: Sequence[Sequence[str]]) -> list[int]:
    """Number each post by its likely author.

    Posts that share four rare tags, and three in ten of the shorter one's, are one author's, and so on in chains;
    reposts and adverts fall together too. Most posts stay alone.

    Args:
        posts: The tags of each post, spelt alike.

    Returns:
        A number for each post, equal for one author.
    """
    uses = Counter(tag for post in posts for tag in set(post))
    rare = [{tag for tag in post if uses[tag] in _RARE} for post in posts]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, tags in enumerate(rare):
        for tag in tags:
            holders[tag].append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for found in holders.values():
        shared.update((a, b) for i, a in enumerate(found) for b in found[i + 1 :])
    alike = (
        (a, b)
        for (a, b), count in shared.items()
        if count >= _SHARED and count >= _SHARE * min(len(rare[a]), len(rare[b]))
    )
    return merge(len(posts), alike)
