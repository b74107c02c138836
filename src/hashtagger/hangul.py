"""Hangul below the level of syllables: jamo, the two-set (두벌식) keyboard, drawled syllables and romanization."""

import re

_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"]

_KEYS = dict(
    zip(
        "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅛㅜㅠㅡㅣ",
        "rRseEfaqQtTdwWczxvgkoiOjpuPhynbml",
        strict=True,
    )
)
_COMBINED = zip(
    "ㅘㅙㅚㅝㅞㅟㅢㄳㄵㄶㄺㄻㄼㄽㄾㄿㅀㅄ",
    "ㅗㅗㅗㅜㅜㅜㅡㄱㄴㄴㄹㄹㄹㄹㄹㄹㄹㅂ",
    "ㅏㅐㅣㅓㅔㅣㅣㅅㅈㅎㄱㅁㅂㅅㅌㅍㅎㅅ",
    strict=True,
)
_KEYS |= {jamo: _KEYS[first] + _KEYS[second] for jamo, first, second in _COMBINED}
_KEY_TABLE = str.maketrans(_KEYS)
_JAMO = {keys: jamo for jamo, keys in _KEYS.items()}
# Shift has no effect on these keys, so the capital types the same jamo.
_JAMO |= {key.upper(): jamo for key, jamo in _JAMO.items() if len(key) == 1 and key.upper() not in _JAMO}

_VOWEL_KEYS = "[hjklyuiopbnmOPHJKLYUIBNM]"
_TYPED = re.compile(
    "([rRseEfaqQtTdwWczxvgSFADCZXVG])"
    "([hH][kKoOlL]|[nN][jJpPlL]|[mM][lL]|" + _VOWEL_KEYS + ")"
    "((?:rt|s[wg]|f[raqtxvg]|qt|[rRsefaqtTdwczxvgSFADCZXVG])(?!" + _VOWEL_KEYS + "))?"
)
_TYPED_WHOLLY = re.compile(f"(?:{_TYPED.pattern})+")
_DRAWLED = re.compile("[가-힣][아-잏]")


def split_syllable(syllable: str) -> tuple[str, str, str]:
    """Split a syllable (가..힣) into its initial, vowel and final; the final may be empty."""
    rest, final = divmod(ord(syllable) - 0xAC00, 28)
    initial, vowel = divmod(rest, 21)
    return _INITIALS[initial], _VOWELS[vowel], _FINALS[final]


def join_syllable(initial: str, vowel: str, final: str = "") -> str:
    """Join jamo into a syllable; the inverse of :func:`split_syllable`."""
    return chr(0xAC00 + (_INITIALS.index(initial) * 21 + _VOWELS.index(vowel)) * 28 + _FINALS.index(final))


class _Spelled(dict[int, str]):
    """Cache of each character's jamo, filled on first use."""

    def __missing__(self, code: int) -> str:
        text = "".join(split_syllable(chr(code))) if 0xAC00 <= code <= 0xD7A3 else chr(code)
        self[code] = text
        return text


_SPELLED = _Spelled()


def spell(text: str) -> str:
    """Spell out text as compatibility jamo: ``"봄"`` is ``"ㅂㅗㅁ"``. Other characters are unchanged."""
    return text.translate(_SPELLED)


def to_keys(text: str) -> str:
    """Return the two-set keystrokes that type a Korean text: ``"강아지"`` is ``"rkddkwl"``."""
    return spell(text).translate(_KEY_TABLE)


def from_keys(keys: str) -> str | None:
    """Read Latin letters as two-set keystrokes; None unless the result is all whole syllables.

    ``"rkddkwl"`` is ``"강아지"``. Capitals are shifted keys where Shift matters.
    """
    if not _TYPED_WHOLLY.fullmatch(keys):
        return None
    return _TYPED.sub(_typed_syllable, keys)


def _typed_syllable(match: re.Match[str]) -> str:
    initial, vowel, final = match.groups(default="")
    return join_syllable(
        _JAMO[initial],
        _JAMO.get(vowel) or _JAMO[vowel.lower()],
        _JAMO.get(final) or _JAMO[final.lower()] if final else "",
    )


def join_jamo(text: str) -> str:
    """Join separately typed jamo: ``"ㄱㅕㄹㅎㅗㄴ"`` is ``"결혼"``.

    Latin letters count as the jamo of their keys: ``"강dkwl"`` is ``"강아지"``. The text is returned unchanged
    unless the result is all whole syllables.
    """
    return from_keys(to_keys(text)) or text


def undrawl(text: str) -> str:
    """Shorten drawled syllables: ``"가앙아지"`` is ``"강아지"``, ``"여르음"`` is ``"여름"``."""
    if not _DRAWLED.search(text):
        return text
    out: list[str] = []
    for char in text:
        if out and "아" <= char <= "잏" and "가" <= out[-1] <= "힣":
            initial, vowel, final = split_syllable(out[-1])
            _, echo, echo_final = split_syllable(char)
            if not final and echo == vowel:
                out[-1] = join_syllable(initial, vowel, echo_final)
                continue
        out.append(char)
    return "".join(out)


_ROMAN = {
    "ㄱ": "g|k",
    "ㄲ": "kk|gg|k|g",
    "ㄴ": "n",
    "ㄷ": "d|t",
    "ㄸ": "tt|dd|t|d",
    "ㄹ": "r|l",
    "ㅁ": "m",
    "ㅂ": "b|p",
    "ㅃ": "pp|bb|p|b",
    "ㅅ": "ss|sh|s",
    "ㅆ": "ss|s",
    "ㅇ": "",
    "ㅈ": "j|z|ch",
    "ㅉ": "jj|j",
    "ㅊ": "ch|c",
    "ㅋ": "kk|k|c",
    "ㅌ": "tt|t|d",
    "ㅍ": "pp|p|f",
    "ㅎ": "h|",
    "ㅏ": "ah|a",
    "ㅐ": "ae|ai|e|a",
    "ㅑ": "ya|ia",
    "ㅓ": "eo|uh|u|o",
    "ㅔ": "eh|ae|e",
    "ㅕ": "yeo|yuh|yo|yu|eo|io",
    "ㅖ": "ye|e",
    "ㅗ": "oh|o",
    "ㅘ": "wa",
    "ㅛ": "yo",
    "ㅜ": "oo|u|woo",
    "ㅠ": "yoo|yu",
    "ㅡ": "eu|oo|u|e",
    "ㅢ": "ui|eui|i",
    "ㅣ": "ee|i|y",
    "ㅒ": "yae|ye",
    "ㅙ": "wae|we",
    "ㅚ": "oe|we|oi",
    "ㅝ": "weo|wo|wu",
    "ㅞ": "we",
    "ㅟ": "wee|wi|ui",
}
_ROMAN_FINAL = {
    "": "",
    "ㄱ": "ck|kk|k|g|c",
    "ㄲ": "ck|kk|k|gg|g",
    "ㄴ": "nn|n",
    "ㄹ": "ll|l|r",
    "ㅁ": "mm|m",
    "ㅂ": "p|b",
    "ㅅ": "t|s",
    "ㅇ": "ng",
    "ㅈ": "t|j",
    "ㅊ": "t|ch",
    "ㄳ": "k|ks",
    "ㄵ": "n|nj",
    "ㄶ": "n|nh",
    "ㄷ": "t|d",
    "ㄺ": "k|lk|l",
    "ㄻ": "m|lm",
    "ㄼ": "l|lb",
    "ㄽ": "l|ls",
    "ㄾ": "l|lt",
    "ㄿ": "p|lp",
    "ㅀ": "l|lh",
    "ㅄ": "p|ps",
    "ㅆ": "t|s|ss",
    "ㅋ": "k",
    "ㅌ": "t",
    "ㅍ": "p",
    "ㅎ": "t|h|",
}


def romanization_pattern(word: str) -> str:
    """Build a regular expression that matches the usual romanizations of a Korean word.

    For ``"강아지"`` it matches gangaji, kangaji and gang-a-jee: Revised Romanization, McCune-Reischauer, and the ad hoc
    spellings of people who know neither.
    """
    parts = []
    for syllable in word:
        initial, vowel, final = split_syllable(syllable)
        parts.append("".join(f"(?:{choice})" for choice in (_ROMAN[initial], _ROMAN[vowel], _ROMAN_FINAL[final])))
    return "[-_]?".join(parts)
