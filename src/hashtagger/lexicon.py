"""Lookup tables of the normalizer, built from a vocabulary, the language file and the user's own tags."""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _
from hashtagger.tagtext import clean
from hashtagger.toml import read_toml
from hashtagger.vocabulary import Label, Vocabulary

_LANGUAGE = Path(__file__).parent / "data" / "tag_language.toml"

Keys = tuple[str, ...]

ANYWHERE, END, SHY, WEAK = "anywhere", "end", "shy", "weak"


class Word(NamedTuple):
    """A word that occurs in compounds: the cost of using it, the labels it stands for, and where it may do so."""

    cost: int
    keys: Keys
    where: str


UNKNOWN_COST = 10  # for each character that no word covers; each run of them also costs WORD_COST
_SHORT_COST, WORD_COST, _LABEL_COST = 6, 2, 3


# Underscores, and of emoji the skin tones and the selectors of text or colour form.
_STYLE = dict.fromkeys((ord("_"), *range(0x1F3FB, 0x1F400), 0xFE0E, 0xFE0F))


def fold(tag: str) -> str:
    """Clean a tag and remove its underscores and skin tones; two tags that fold to the same text are the same tag."""
    return without_style(clean(tag))


def without_style(cleaned: str) -> str:
    """Fold a tag that is cleaned already."""
    return cleaned.translate(_STYLE)


class Lexicon:
    """Lookup tables for one vocabulary.

    Attributes:
        exact: Maps whole folded tags to the keys they stand for; ``()`` for tags that the user excluded.
        words: Words that occur in compounds. Words without keys win over label words that they overlap, unless that
            leaves more characters unknown.
        label_words: The subset of ``words`` that stand for a label.
        lengths: Maps a first character to the lengths of the words that start with it.
        label_lengths: The same for ``label_words``.
        names: Maps keys to the folded tags that name the label itself, not a kind of it or something about it.
        stems: Words that stand for a label before a suffix.
        suffixes: Suffixes that people append to tags (스타그램, 그램 ...).
        no_family: Words that end in a suffix only by chance (프로그램, 홀로그램 ...).
        lookalikes: Whole tags that stand for no label, although they contain a label word or resemble one.
        endings: Particles and affectionate endings.
        tags: Maps folded canonical tags to their keys.
        lone: Single-syllable tags (차) that stand for a label only as a whole tag or before a suffix.
    """

    def __init__(self, vocabulary: Vocabulary, user: "str | os.PathLike[str] | None" = None) -> None:
        language = read_language()
        self.exact: dict[str, Keys] = {}
        self.words: dict[str, Word] = {}
        self.names: dict[str, set[str]] = {}
        self.stems: dict[str, Keys] = {}
        self.lone: set[str] = set()
        self.suffixes = frozenset(language["suffixes"])
        self.no_family = tuple(language["no_family"])
        self.lookalikes = frozenset(language["lookalikes"])
        self.endings = frozenset(language["endings"])
        self.tags = {fold(label.tag): (label.key,) for label in vocabulary}
        for word in (*language["neutral"], *language["traps"]):
            self.words[word] = Word(WORD_COST if len(word) > 1 else _SHORT_COST, (), ANYWHERE)
        for label in vocabulary:
            self._add_label(label)
        # A canonical tag stands for its own label only, even if another label lists it as a variant.
        self.exact.update(self.tags)
        if user is not None:
            self._add_user(Path(user), vocabulary, frozenset(language["neutral"]))
        self.label_words = frozenset(word for word, entry in self.words.items() if entry.keys)
        self.lone |= {tag for tag in self.tags if len(tag) == 1} - self.label_words
        self.lengths = _lengths(self.words)
        self.label_lengths = _lengths(self.label_words)

    def _add_label(self, label: Label) -> None:
        words = _strings(label, "words")
        self.names[label.key] = {fold(tag) for tag in _strings(label, "names") or (*label.variants, *words)}
        for tag in (label.tag, *label.variants, *words):
            _add(self.exact, fold(tag), label.key)
        for where, listed in (
            # A single syllable (차) occurs in too many other words (차트), so it counts only if listed in ``words``.
            (ANYWHERE, words if len(label.tag) == 1 else (label.tag, *words)),
            (END, _strings(label, "ends")),
            (SHY, _strings(label, "shy")),
            (WEAK, _strings(label, "weak")),
        ):
            for word in map(fold, listed):
                known = self.words.get(word)
                keys = known.keys if known else ()
                keys = tuple(dict.fromkeys((*keys, label.key)))
                self.words[word] = Word(_LABEL_COST if len(word) > 1 else _SHORT_COST, keys, where)
        for stem in (label.tag, *_strings(label, "stems")):
            _add(self.stems, fold(stem), label.key)

    def _add_user(self, path: Path, vocabulary: Vocabulary, neutral: frozenset[str]) -> None:
        variants, excluded = _read_user(path)
        for name, tags in variants.items():
            try:
                key = vocabulary[name].key
            except VocabularyError as error:
                if name == "exclude":  # in TOML, keys below a table header belong to that table
                    raise VocabularyError(_("{path}: move exclude above [variants]").format(path=path)) from error
                raise VocabularyError(f"{path}: {error}") from error
            for tag in map(fold, tags):
                self.exact[tag] = self.stems[tag] = (key,)
                self.names[key].add(tag)
                if len(tag) == 1:
                    self.lone.add(tag)
                # A dog named 콩 or 초코 must not be found in 콩국수 or 초코케이크.
                if len(tag) == 1 or tag in neutral:
                    continue
                # The user's own name (봄이) takes precedence over neutral words and traps that begin with it.
                for word in [word for word, known in self.words.items() if word.startswith(tag) and not known.keys]:
                    del self.words[word]
                # A name (토리) occurs in unrelated words (인스타스토리), which unknown characters beside it give away.
                self.words[tag] = Word(_LABEL_COST, (key,), SHY)
        for tag in map(fold, excluded):
            self.exact[tag] = ()
            self.words[tag] = Word(WORD_COST, (), ANYWHERE)
            self.stems.pop(tag, None)


def add_user_variants(path: Path, variants: Mapping[str, Sequence[str]]) -> None:
    """Add variants by key to a user's TOML file, creating it if missing and preserving its text otherwise.

    Raises:
        VocabularyError: The file is not a valid file of a user's own tags, or its layout does not allow additions.
        OSError: The file cannot be written; it is left unchanged.
    """
    known, excluded = _read_user(path) if path.exists() else ({}, [])
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    wanted = {**known}
    for key, tags in variants.items():
        new = [tag for tag in dict.fromkeys(tags) if tag not in known.get(key, [])]
        wanted[key] = [*new, *known.get(key, [])]
        text = _with_variants(text, key, new)
    written = path.with_name(f"{path.name}.new")
    try:
        written.write_text(text, encoding="utf-8")
        try:
            added = _read_user(written) == (wanted, excluded)
        except VocabularyError:
            added = False
        if not added:
            lines = "; ".join(f"{_json(key)} = {_json(tags)}" for key, tags in variants.items())
            raise VocabularyError(
                _("{path}: cannot add to its [variants]; add these yourself: {lines}").format(path=path, lines=lines)
            )
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def _with_variants(text: str, key: str, tags: Sequence[str]) -> str:
    """Insert tags at the start of a key's list in the TOML text of a user's file, adding the list if missing."""
    # JSON strings, and lists of them, are valid TOML.
    line = f"\n{_json(key)} = {_json(tags)}"
    table = re.search(r"^[ \t]*\[[ \t]*variants[ \t]*\].*$", text, re.MULTILINE)
    if table is None:
        return f"{text.rstrip()}\n\n[variants]{line}\n".lstrip()
    entry = re.compile(rf"^[ \t]*([\"']?){re.escape(key)}\1[ \t]*=[ \t]*\[", re.MULTILINE).search(text, table.end())
    at, new = (entry.end(), "".join(f"{_json(tag)}, " for tag in tags)) if entry else (table.end(), line)
    return text[:at] + new + text[at:]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lengths(words: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for word in words:
        found.setdefault(word[0], set()).add(len(word))
    return {first: sorted(lengths) for first, lengths in found.items()}


def _add(table: dict[str, Keys], word: str, key: str) -> None:
    known = table.get(word, ())
    if key not in known:
        table[word] = (*known, key)


def _strings(label: Label, name: str) -> list[str]:
    values: Any = label.details.get(name, [])
    if not isinstance(values, list):
        raise VocabularyError(_("{name} is not a list of tags").format(name=f"{label.key}.{name}"))
    return [unicodedata.normalize("NFC", str(value)) for value in values]


@lru_cache(maxsize=1)
def read_language() -> Mapping[str, list[str]]:
    """Load the language file: words and suffixes of Korean tags, and spam tags."""
    return read_toml(_LANGUAGE, VocabularyError)


def _read_user(path: Path) -> tuple[dict[str, list[str]], list[str]]:
    table = read_toml(path, VocabularyError)
    for name in table.keys() - {"variants", "exclude"}:
        raise VocabularyError(
            _("{path}: unknown entry {name}; allowed are a table [variants] and a list exclude").format(
                path=path, name=name
            )
        )
    try:
        variants, excluded = table.get("variants", {}), table.get("exclude", [])
        if not isinstance(variants, dict):
            raise TypeError(_("variants is not a table of lists of tags"))
        for name, tags in (*variants.items(), ("exclude", excluded)):
            if not isinstance(tags, list) or not all(isinstance(tag, str) and fold(tag) for tag in tags):
                raise TypeError(_("{name} is not a list of tags").format(name=name))
        return variants, excluded
    except TypeError as error:
        raise VocabularyError(
            _("{path}: not a TOML file of your own tags: {error}").format(path=path, error=error)
        ) from error
