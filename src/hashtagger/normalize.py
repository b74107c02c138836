"""Map hashtags, in any spelling, to the labels of a vocabulary, and name the rule that matched."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from hashtagger import hangul
from hashtagger.compound import read_compound
from hashtagger.lexicon import ANYWHERE, Keys, Lexicon, fold, without_style
from hashtagger.once import once
from hashtagger.tagtext import clean, extract_tags
from hashtagger.typos import TypoIndex, one_slip
from hashtagger.vocabulary import Vocabulary, load_vocabulary

__all__ = ["Normalized", "Normalizer", "extract_tags", "normalize"]

_CACHED = 200_000
_HANGUL = re.compile("[가-힣]+")
_LETTERS = re.compile("[A-Za-z]+")
_OUTER_JAMO = re.compile("^[ㄱ-ㅎㅏ-ㅣ]+(?=[가-힣])|(?<=[가-힣])[ㄱ-ㅎㅏ-ㅣ]+$")
_RUNS = re.compile(r"[a-zà-ɏ]+|[^\W_a-zà-ɏ]+")
_WEIGHT = re.compile("[0-9](?:그램|그람|gram|grams)$")


class Normalized(NamedTuple):
    """What a tag means.

    Attributes:
        original: The tag as given.
        tag: The canonical tag of the best label. Without a label, the cleaned tag (of glued tags, the first).
        canonical: Keys of the labels meant, best first; may be empty.
        rule: Name of the rule that matched, one of :data:`RULES`.
        score: Rank of the rule in 0..1, set by hand, not a probability; 0 without a label.
    """

    original: str
    tag: str
    canonical: Keys
    rule: str
    score: float


RULES = {
    "exact": 1.0,
    "variant": 0.99,
    "family": 0.97,
    "jamo": 0.95,
    "compound": 0.94,
    "drawl": 0.92,
    "keyboard": 0.9,
    "romanized": 0.85,
    "typo": 0.8,
    "excluded": 0.0,
    "unknown": 0.0,
}
"""All rules with their ranks, set by hand, from certain to guessed."""

_Verdict = tuple[Keys, str]
_NOTHING: _Verdict = ((), "unknown")


class Normalizer:
    """Maps tags to the labels of a vocabulary.

    Args:
        vocabulary: Name, TOML file or Vocabulary.
        user: TOML file with your own tags: a table ``variants`` that maps keys to lists of tags, and a list ``exclude``
            of tags that mean none of the labels.

    Raises:
        VocabularyError: There is no such vocabulary, or a file cannot be read or names an unknown key.
    """

    def __init__(
        self,
        vocabulary: "str | os.PathLike[str] | Vocabulary" = "hashtags_ko",
        user: "str | os.PathLike[str] | None" = None,
    ) -> None:
        self.vocabulary = load_vocabulary(vocabulary)
        self._lexicon = Lexicon(self.vocabulary, user)
        self._tag_of = {label.key: label.tag for label in self.vocabulary}
        self._misspelt_suffixes = self._lexicon.suffixes.union(*map(_misspellings, ("스타그램", "stagram", "stargram")))
        self._suffix_lengths = sorted(set(map(len, self._misspelt_suffixes)), reverse=True)
        self._suffix_ends = frozenset(suffix[-1] for suffix in self._misspelt_suffixes)
        # A single syllable (봄, 꽃) is left out: its romanizations match too many other words.
        self._romanized_tags = [tag for tag in self._lexicon.tags if len(tag) > 1 and _HANGUL.fullmatch(tag)]
        self._romanized = re.compile("|".join(f"({hangul.romanization_pattern(tag)})" for tag in self._romanized_tags))
        words = (word for word, entry in self._lexicon.words.items() if entry.keys and entry.where == ANYWHERE)
        self._typos = TypoIndex(filter(self._is_distinct, words))
        latin = (word for word in self._lexicon.exact if word.isascii() and len(word) >= 7)
        self._latin_typos = TypoIndex(word for word in latin if not self._is_mostly_neutral(word))
        # Shift is often forgotten, or lost when a tag is lowercased: qjwrhc is 벚꽃 typed without the Shift of ㄲ.
        # Shorter sequences too often spell other words: elaka is 띠맘, but also a Swedish word.
        keystrokes = ((hangul.to_keys(word), word) for word in self._lexicon.exact)
        self._unshifted = {
            typed.lower(): self._lexicon.exact[word]
            for typed, word in keystrokes
            if (len(typed) >= 6 or word in self._lexicon.tags) and _LETTERS.fullmatch(typed) and not typed.islower()
        }
        self._cache: dict[str, Normalized] = {}

    def normalize(self, tag: str) -> Normalized:
        """Map one tag, with or without ``#``, to its labels; any text is accepted."""
        found = self._cache.get(tag)
        if found is None:
            found = self._normalize(tag)
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[tag] = found
        return found

    def normalize_many(self, tags: Iterable[str]) -> list[Normalized]:
        """Normalize several tags, in order."""
        seen = self._cache.get
        return [seen(tag) or self.normalize(tag) for tag in tags]

    def is_name(self, tag: str, key: str) -> bool:
        """Whether a tag is another name of a label (플라워 of 꽃), not a kind of it or something about it (장미)."""
        return fold(tag) in self._lexicon.names[key]

    def _is_distinct(self, word: str) -> bool:
        """Whether a Korean word is long and specific enough that its misspellings are not other words."""
        if word in self._lexicon.tags:
            return len(word) > 2 or (len(word) == 2 and self._has_lookalikes(word))
        return bool(_HANGUL.fullmatch(word)) and len(hangul.spell(word)) >= 7 and not self._is_mostly_neutral(word)

    def _has_lookalikes(self, tag: str) -> bool:
        """Whether the ordinary words one edit from a tag of two syllables are listed; for 포도 they are not (포토)."""
        letters = hangul.spell(tag)
        return any(one_slip(letters, hangul.spell(word)) for word in self._lexicon.lookalikes)

    def _is_mostly_neutral(self, word: str) -> bool:
        """Whether a neutral word makes up at least half of a word (네일맛집, instabook)."""
        known = self._lexicon.words
        shortest = max(2, (len(word) + 1) // 2)
        parts = (word[i:j] for i in range(len(word)) for j in range(i + shortest, len(word) + 1))
        return any(part in known and not known[part].keys for part in parts)

    def _normalize(self, tag: str) -> Normalized:
        first, *others = clean(tag).split("#")
        if others:
            verdicts = [self._judge(part, part) for part in (first, *others)]
            keys = tuple(dict.fromkeys(key for found, _ in verdicts for key in found))
            rule = next((rule for found, rule in verdicts if found), "unknown")
        else:
            keys, rule = self._judge(first, tag)
        return Normalized(tag, self._tag_of[keys[0]] if keys else first, keys, rule, RULES[rule])

    def _judge(self, cleaned: str, typed: str) -> _Verdict:
        text = without_style(cleaned)
        keys = self._lexicon.exact.get(text)
        if keys is not None:
            if len(keys) == 1:
                return keys, "exact" if text in self._lexicon.tags else "variant"
            # A tag that stands for two labels (신혼여행) is not a name of either.
            return keys, "compound" if keys else "excluded"
        if self._means_itself(text):
            return _NOTHING
        family = self._family(text)
        if family is not None:
            return (family, "family") if family else _NOTHING
        # A whole tag that is known comes before the words in it: 아기시바일상 is about a dog, 묘생일상 not a birthday.
        keys = (self._by_parts(cleaned) if text != cleaned else ()) or self._inflected(text) or self._compound(text)
        if keys:
            return keys, "compound"
        return self._judge_latin(text, typed) if text.isascii() else self._judge_other(text)

    def _named(self, text: str) -> Keys:
        """Look up a tag that names a label, as a whole or before a suffix, but not as a compound."""
        return self._lexicon.exact.get(text) or self._family(text) or ()

    def _means_itself(self, text: str) -> bool:
        word = self._lexicon.words.get(text)
        return text in self._lexicon.lookalikes or (word is not None and not word.keys)

    def _judge_latin(self, text: str, typed: str) -> _Verdict:
        typed = typed.strip("#_ ")
        keys = self._mistyped(typed) if _LETTERS.fullmatch(typed) else ()
        if keys:
            return keys, "keyboard"
        keys = self._romanization(text)
        if keys:
            return keys, "romanized"
        near = self._latin_typos.nearest(text) if len(text) >= 7 else None
        # People rarely misspell the first letter, but many words differ only in it: leading, reading.
        return (self._lexicon.exact[near], "typo") if near and near[0] == text[0] else _NOTHING

    def _mistyped(self, typed: str) -> Keys:
        """Read Latin letters as the keystrokes of a Korean word, typed with the keyboard set to English."""
        lexicon = self._lexicon
        small = typed.lower()
        # With Caps Lock on, Shift types lowercase letters, so the intended case may be the reverse.
        for keystrokes in (typed,) if typed == small else (typed, typed.swapcase(), small):
            korean = hangul.from_keys(keystrokes)
            if korean is None:
                continue
            keys = self._named(korean)
            # Many English words of three letters also type a single syllable: accept canonical tags only.
            if keys and (len(korean) > 1 or (korean in lexicon.tags and korean not in lexicon.lone)):
                return keys
            # English words can contain label words too, but beside nonsense: citrus is 챳견, corso is 책내.
            if len(korean) > 2 and not self._means_itself(korean):
                keys = read_compound(korean, lexicon, wholly=True)
                if keys:
                    return keys
        return self._unshifted.get(small, ())

    def _judge_other(self, text: str) -> _Verdict:
        exact = self._lexicon.exact
        keys = self._emoji(text)
        if keys:
            return keys, "compound"
        if not _HANGUL.fullmatch(text):
            for joined in (hangul.join_jamo(text), _OUTER_JAMO.sub("", text)):
                keys = self._named(joined)
                if keys:
                    return keys, "jamo"
        keys = exact.get(hangul.to_keys(text), ())
        if keys:
            return keys, "keyboard"
        end_once = text.rstrip(text[-1:]) + text[-1:]
        all_once = text[: (text + text).find(text, 1)]  # the shortest repeated unit: 꽃 for 꽃꽃꽃
        for shorter in (hangul.undrawl(text), end_once, all_once):
            keys = exact.get(shorter, ())
            if keys and shorter not in self._lexicon.lone:
                return keys, "drawl"
        keys = self._typo(text)
        return (keys, "typo") if keys else _NOTHING

    def _emoji(self, text: str) -> Keys:
        """Look up a tag of symbols alone by those of them that mean a label, if these agree: ☕🍰, but not ☕🐶."""
        if any(map(str.isalnum, text)):
            return ()
        found = {keys for symbol in text if (keys := self._lexicon.exact.get(symbol))}
        return found.pop() if len(found) == 1 else ()

    def _romanization(self, text: str) -> Keys:
        match = self._romanized.fullmatch(text)
        return self._lexicon.tags[self._romanized_tags[match.lastindex - 1]] if match and match.lastindex else ()

    def _typo(self, text: str) -> Keys:
        if not (2 <= len(text) <= 8 and _HANGUL.fullmatch(text)) or text in self._lexicon.lookalikes:
            return ()
        near = self._typos.nearest(text)
        return self._lexicon.exact[near] if near else ()

    def _family(self, text: str) -> Keys | None:
        """Look up a tag with a suffix like -스타그램 by its stem: () if that is no label, None if nothing is found."""
        lexicon = self._lexicon
        if text[-1:] not in self._suffix_ends or text.endswith(lexicon.no_family) or _WEIGHT.search(text):
            return None
        suffixed = False
        for suffixes in (lexicon.suffixes, self._misspelt_suffixes):
            for length in self._suffix_lengths:
                if length >= len(text) or text[-length:] not in suffixes:
                    continue
                stem = text[:-length]
                keys = lexicon.stems.get(stem) or lexicon.exact.get(stem)
                if keys:
                    return keys
                if self._means_itself(stem):
                    return ()
                if suffixed:
                    continue  # a longer suffix matched already: removing 그램 must not leave 부동산스타
                keys = self._compound(stem)
                if not keys and length > 2:
                    keys = self._romanization(stem) if stem.isascii() else self._typo(stem)
                if keys:
                    return keys
                suffixed = suffixed or length > 2
        return None

    def _inflected(self, text: str) -> Keys:
        """Look up a known tag with a particle, an affectionate ending or an everyday word: 댕댕이들, 눈바디일상."""
        for length in (1, 2, 3, 4):
            if len(text) >= length + 2 and text[-length:] in self._lexicon.endings:
                stem = text[:-length]
                keys = self._lexicon.exact.get(stem)
                # 카투사랑 is 카투사 with 랑, not 카투 with 사랑.
                if keys or stem in self._lexicon.lookalikes:
                    return keys or ()
        return ()

    def _by_parts(self, cleaned: str) -> Keys:
        """Collect the labels of the parts of a tag that underscores separate, last part first."""
        found: list[str] = []
        for part in reversed(cleaned.split("_")):
            if len(part) > 1:
                found += self._named(part) or self._compound(part)
        return tuple(dict.fromkeys(found))

    def _compound(self, text: str) -> Keys:
        if text.isascii() or _RUNS.fullmatch(text):
            return read_compound(text, self._lexicon)
        found: list[str] = []
        for run in reversed(_RUNS.findall(text)):
            found += self._lexicon.exact.get(run, ()) or read_compound(run, self._lexicon)
        return tuple(dict.fromkeys(found))


_JAMO = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅛㅜㅝㅠㅡㅣ"


@lru_cache(maxsize=4)
def _misspellings(word: str) -> frozenset[str]:
    """All forms one edit away from a word, by Latin letter or by jamo; forms with partial syllables are dropped."""
    letters = hangul.spell(word)
    forms = set()
    for i in range(len(letters) + 1):
        head, tail = letters[:i], letters[i:]
        forms |= {head + tail[1:], head + tail[1:2] + tail[:1] + tail[2:]}
        for letter in "abcdefghijklmnopqrstuvwxyz" if word.isascii() else _JAMO:
            forms |= {head + letter + tail[1:], head + letter + tail}
    joined = map(hangul.join_jamo, forms)
    return frozenset(form for form in joined if form.isascii() or _HANGUL.fullmatch(form))


@once
def default_normalizer() -> Normalizer:
    """The normalizer of the twenty hashtags, created on first use."""
    return Normalizer()


def normalize(tag: str) -> Normalized:
    """Map a tag to the twenty hashtags; see :class:`Normalizer`."""
    return default_normalizer().normalize(tag)
