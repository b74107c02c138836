"""Group items from pairs that belong together (union-find)."""

from collections.abc import Iterable


def merge(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Group positions 0 to ``count - 1`` by pairs, and return for each the smallest position in its group."""
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
