"""A small number for each of very many hashes, in 15 to 30 bytes each where a dict takes over 100."""

from array import array


class HashTable:
    """Numbers from 0 to 65535 by a hash; what was never set is 0.

    Two things of one 64-bit hash are one: among a million that is as likely as one in 30 million.
    """

    def __init__(self) -> None:
        self._resize(1 << 10)

    def __getitem__(self, key: int) -> int:
        """Give the number of a hash."""
        return self._numbers[self._slot(key)]

    def __setitem__(self, key: int, number: int) -> None:
        """Remember a number from 1 to 65535."""
        slot = self._slot(key)
        if not self._numbers[slot]:
            self._used += 1
        self._keys[slot], self._numbers[slot] = key, number
        if self._used * 3 > len(self._keys) * 2:
            keys, numbers = self._keys, self._numbers
            self._resize(len(keys) * 2)
            for old, kept in zip(keys, numbers, strict=True):
                if kept:
                    self[old] = kept

    def _resize(self, size: int) -> None:
        self._keys, self._numbers = array("q", bytes(8 * size)), array("H", bytes(2 * size))
        self._used = 0

    def _slot(self, key: int) -> int:
        last = len(self._keys) - 1
        # Hashes of short strings and numbers differ in their low bits alone, and those of tuples in all.
        slot = (key ^ key >> 29) & last
        while self._numbers[slot] and self._keys[slot] != key:
            slot = slot + 1 & last
        return slot
