"""Finds the known word that a misspelt one is one slip away from, without comparing it with all of them."""

from collections.abc import Iterable

from hashtagger.hangul import spell


def one_slip(a: str, b: str) -> bool:
    """Tell whether two strings are one insertion, deletion, substitution or swap of neighbours apart, or equal."""
    if len(a) > len(b):
        a, b = b, a
    start = 0
    while start < len(a) and a[start] == b[start]:
        start += 1
    if len(a) < len(b):
        return len(b) - len(a) == 1 and a[start:] == b[start + 1 :]
    return a[start + 1 :] == b[start + 1 :] or (
        a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    )


class TypoIndex:
    """Known words by what is left of them when a letter is missing.

    Symmetric deletion (Garbe 2012, SymSpell): two words one edit apart share a form that takes at most one
    deletion from either, so that looking one up costs its own deletions, however many words are known.
    Korean is compared letter by letter (jamo), so 강아치 is one edit from 강아지.

    Args:
        words: The words that may be meant; where two are equally near, either may be named.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._forms: dict[str, list[tuple[str, str]]] = {}
        self._longest = 0
        for word in words:
            letters = spell(word)
            self._longest = max(self._longest, len(letters) + 1)
            for form in {letters, *(letters[:i] + letters[i + 1 :] for i in range(len(letters)))}:
                self._forms.setdefault(form, []).append((letters, word))

    def nearest(self, text: str) -> str | None:
        """Name the known word that a text misspells; None where there is none."""
        letters = spell(text)
        if len(letters) > self._longest:
            return None
        forms = self._forms
        for form in (letters, *[letters[:i] + letters[i + 1 :] for i in range(len(letters))]):
            if form in forms:
                for known, word in forms[form]:
                    if one_slip(letters, known):
                        return word
        return None
