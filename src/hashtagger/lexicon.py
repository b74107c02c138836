"""What the normalizer knows, as tables for looking up: from a vocabulary, the language file and the user's own."""

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
    """A word that compounds are made of: what it costs to use, the labels it speaks for, and where it may."""

    cost: int
    keys: Keys
    where: str


UNKNOWN_COST = 10  # of each character that no word covers; a run of them also costs as much as a word
_SHORT_COST, WORD_COST, _LABEL_COST = 6, 2, 3


def fold(tag: str) -> str:
    """Clean a tag and leave out its underscores: two tags that fold alike are one."""
    return clean(tag).replace("_", "")


class Lexicon:
    """Tables of one vocabulary.

    Attributes:
        exact: Whole folded tags and the keys they stand for; ``()`` where the user excluded them.
        words: Words of compounds; those without keys win over label words they overlap, unless more is left unknown.
        label_words: Those of them that speak for a label.
        lengths: For each first character, the lengths of the words that start with it.
        label_lengths: The same of the label words.
        stems: What stands for a label only before a suffix.
        suffixes: What people hang behind tags (스타그램, 그램 ...).
        no_family: Words that end like a suffix, and so are of no family (프로그램, 홀로그램 ...).
        lookalikes: Whole tags that mean themselves, whatever is read in them or they seem to misspell.
        endings: Particles and fond endings.
        tags: Folded canonical tags and their keys.
        lone: Single syllables of one's own (차) that stand for a label as a whole tag and before a suffix only.
    """

    def __init__(self, vocabulary: Vocabulary, user: "str | os.PathLike[str] | None" = None) -> None:
        language = read_language()
        self.exact: dict[str, Keys] = {}
        self.words: dict[str, Word] = {}
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
        # A canonical tag is its own, whatever other label lists it.
        self.exact.update(self.tags)
        if user is not None:
            self._add_user(Path(user), vocabulary, frozenset(language["neutral"]))
        self.label_words = frozenset(word for word, entry in self.words.items() if entry.keys)
        self.lone |= {tag for tag in self.tags if len(tag) == 1} - self.label_words
        self.lengths = _lengths(self.words)
        self.label_lengths = _lengths(self.label_words)

    def _add_label(self, label: Label) -> None:
        words = _strings(label, "words")
        for tag in (label.tag, *label.variants, *words):
            _add(self.exact, fold(tag), label.key)
        for where, listed in (
            # A syllable (차) is in too many other words (차트) to speak for its label unless the vocabulary says so.
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
                if name == "exclude":  # what stands below a table's head is of the table
                    raise VocabularyError(_("{path}: move exclude above [variants]").format(path=path)) from error
                raise VocabularyError(f"{path}: {error}") from error
            for tag in map(fold, tags):
                self.exact[tag] = self.stems[tag] = (key,)
                if len(tag) == 1:
                    self.lone.add(tag)
                # A dog named 콩 or 초코 is not in 콩국수 or 초코케이크.
                if len(tag) == 1 or tag in neutral:
                    continue
                # A name of one's own (봄이) is no chance word, nor is what begins with it.
                for word in [word for word, known in self.words.items() if word.startswith(tag) and not known.keys]:
                    del self.words[word]
                self.words[tag] = Word(_LABEL_COST, (key,), ANYWHERE)
        for tag in map(fold, excluded):
            self.exact[tag] = ()
            self.words[tag] = Word(WORD_COST, (), ANYWHERE)
            self.stems.pop(tag, None)


def add_user_variants(path: Path, variants: Mapping[str, Sequence[str]]) -> None:
    """Add variants by key to a user's file, which is made where there is none; all that is in it stays as it is.

    Raises:
        VocabularyError: There is a file, but not one of a user's own tags, or written so that nothing can be added.
        OSError: It cannot be written; what was there stays.
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
    """Add tags at the head of a key's list in the TOML text of a user's file, or a list where there is none."""
    # JSON's strings and lists of them are also TOML's.
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
        raise VocabularyError(_("{name} is no list of tags").format(name=f"{label.key}.{name}"))
    return [unicodedata.normalize("NFC", str(value)) for value in values]


@lru_cache(maxsize=1)
def read_language() -> Mapping[str, list[str]]:
    """Read the words and suffixes of Korean tags, and the tags that only fish for attention."""
    return read_toml(_LANGUAGE, VocabularyError)


def _read_user(path: Path) -> tuple[dict[str, list[str]], list[str]]:
    table = read_toml(path, VocabularyError)
    for name in table.keys() - {"variants", "exclude"}:
        raise VocabularyError(
            _("{path}: {name} means nothing here; there may be a table [variants] and a list exclude").format(
                path=path, name=name
            )
        )
    try:
        variants, excluded = table.get("variants", {}), table.get("exclude", [])
        if not isinstance(variants, dict):
            raise TypeError(_("variants is no table of lists of tags"))
        for name, tags in (*variants.items(), ("exclude", excluded)):
            if not isinstance(tags, list) or not all(isinstance(tag, str) and fold(tag) for tag in tags):
                raise TypeError(_("{name} is no list of tags").format(name=name))
        return variants, excluded
    except TypeError as error:
        raise VocabularyError(
            _("{path}: not a TOML file of your own tags: {error}").format(path=path, error=error)
        ) from error
