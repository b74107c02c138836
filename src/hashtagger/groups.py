"""Things in groups, from the pairs that belong together."""

from collections.abc import Iterable


def merge(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Give each of ``count`` positions its group's smallest position, pairs being in one group."""
    group = list(range(count))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for a, b in pairs:
        a, b = root(a), root(b)
        group[max(a, b)] = min(a, b)
    return [root(i) for i in range(count)]
