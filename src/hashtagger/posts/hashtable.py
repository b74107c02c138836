"""A compact map from hashes to small numbers, in 15 to 30 bytes per entry where a dict takes over 100."""

from array import array


class HashTable:
    """Map from 64-bit hashes to numbers from 0 to 65535; a hash that was never set maps to 0.

    Keys with equal hashes are not told apart; among a million keys, the odds of that are one in 30 million.
    """

    def __init__(self) -> None:
        self._resize(1 << 10)

    def __getitem__(self, key: int) -> int:
        """Return the number of a hash."""
        return self._numbers[self._slot(key)]

    def __setitem__(self, key: int, number: int) -> None:
        """Store a number from 1 to 65535."""
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
        mask = len(self._keys) - 1
        # Mix high bits into the low ones that select the slot.
        slot = (key ^ key >> 29) & mask
        while self._numbers[slot] and self._keys[slot] != key:
            slot = slot + 1 & mask
        return slot
