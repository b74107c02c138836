"""Find known words within one edit of a misspelt one, without comparing it to all of them."""

from collections.abc import Iterable

from hashtagger.hangul import spell


def one_slip(a: str, b: str) -> bool:
    """Whether two strings differ by at most one insertion, deletion, substitution or transposition."""
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
    """An index of known words by their forms with one letter deleted.

    Symmetric deletion (Garbe 2012, SymSpell): two words one edit apart share a form that takes at most one deletion
    from either, so a lookup costs one probe per letter of the text, however many words are known. Korean is compared
    by jamo, so 강아치 is one edit from 강아지.

    Args:
        words: The known words. If two are equally near, either may be returned.
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
        """Return a known word within one edit of a text; None if there is none."""
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
