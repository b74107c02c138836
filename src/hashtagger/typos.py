"""Finds the known word that a misspelt one is near to, without comparing it with all of them."""

from collections.abc import Iterable, Iterator

from hashtagger.hangul import spell


def distance(a: str, b: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours between two strings (OSA distance)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row, earlier = row, [i], before
        for j, y in enumerate(b, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]


class TypoIndex:
    """Known words by what is left of them when a letter or two is missing.

    Symmetric deletion (Garbe 2012, SymSpell): two words within n edits share a form that takes at most n
    deletions from either, so that looking one up costs its own deletions, however many words are known.
    Korean is compared letter by letter (jamo), so 강아치 is one edit from 강아지.

    Args:
        words: What may be meant.
        two_from: Words of so many letters may be misspelt twice.
    """

    def __init__(self, words: Iterable[str], *, two_from: int) -> None:
        self._two_from = two_from
        self._forms: dict[str, list[str]] = {}
        self._words: dict[str, str] = {}
        for word in words:
            letters = spell(word)
            self._words.setdefault(letters, word)
            for form in _deletions(letters, 2 if len(letters) >= two_from else 1):
                self._forms.setdefault(form, []).append(letters)

    def nearest(self, text: str) -> tuple[str, int] | None:
        """Name the nearest known word and how many edits away it is; None where none is near enough."""
        letters = spell(text)
        best: tuple[int, str] | None = None
        seen: set[str] = set()
        forms = self._forms
        for form in _deletions(letters, 2 if len(letters) >= self._two_from else 1):
            for word in forms.get(form, ()):
                if word in seen:
                    continue
                seen.add(word)
                edits = distance(letters, word)
                if edits <= (2 if len(word) >= self._two_from else 1) and (best is None or (edits, word) < best):
                    best = (edits, word)
        return None if best is None else (self._words[best[1]], best[0])


def _deletions(letters: str, depth: int) -> Iterator[str]:
    yield letters
    for i in range(len(letters)):
        shorter = letters[:i] + letters[i + 1 :]
        yield shorter
        if depth == 2:
            for j in range(i, len(shorter)):
                yield shorter[:j] + shorter[j + 1 :]
