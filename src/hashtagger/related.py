"""Related tags: the tags that people use together with a tag, learned from posts."""

import gzip
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hashtagger.authors import group_by_author
from hashtagger.errors import VocabularyError
from hashtagger.hangul import spell
from hashtagger.i18n import _
from hashtagger.lexicon import fold, read_language
from hashtagger.normalize import Normalizer, normalize
from hashtagger.once import once
from hashtagger.tagtext import parts
from hashtagger.typos import one_slip

BUNDLED = Path(__file__).parent / "data" / "related_ko.txt.gz"

KEPT = 20  # related tags kept for each tag
_LEAST = 6.0  # minimum number of authors who use a tag, for it to be in the table
_PRIOR = 2.0  # pseudo-authors who use a tag with no other; they damp the scores of rare tags


@lru_cache(maxsize=1)
def _spam() -> tuple[re.Pattern[str], frozenset[str]]:
    language = read_language()
    # Harmless words (전문의) come first and outside the group, so the match consumes the spam piece in them (문의).
    no_spam, pieces = ("|".join(map(re.escape, language[name])) for name in ("no_spam", "spam"))
    return re.compile(f"{no_spam}|({pieces})"), frozenset(language["spam_tags"])


def is_spam(tag: str) -> bool:
    """Whether a tag only serves to attract followers, likes or customers (맞팔, likeforlikes, 협찬)."""
    name = fold(tag)
    pieces, whole = _spam()
    return name in whole or any(match[1] for match in pieces.finditer(name))


class Spellings:
    """Distinguishes spellings of the same tag from different tags with the same meaning.

    멍스타그램 and 멍스타, or dog and dogs, are spellings of the same tag; 댕댕이 and 멍멍이 are different tags.
    """

    def __init__(self, normalizer: Normalizer) -> None:
        self._keys: Callable[[str], tuple[str, ...]] = lambda tag: normalizer.normalize(tag).canonical[:1]
        self._suffixes = sorted(read_language()["suffixes"], key=len, reverse=True)

    def same(self, a: str, b: str) -> bool:
        """Whether two tags are spellings of the same tag."""
        a, b = fold(a), fold(b)
        if a == b or self._stem(a) == self._stem(b):
            return True
        keys = self._keys(a)
        return bool(keys) and keys == self._keys(b) and one_slip(spell(a), spell(b))

    def distinct(self, tags: Iterable[str], k: int, beside: Sequence[str] = ()) -> list[str]:
        """Take the first ``k`` tags, skipping spellings of tags in ``beside`` and of tags already taken."""
        chosen: list[str] = []
        for tag in tags:
            if len(chosen) == k:
                break
            if not any(self.same(tag, other) for other in (*beside, *chosen)):
                chosen.append(tag)
        return chosen

    def _stem(self, tag: str) -> str:
        for suffix in self._suffixes:
            if tag.endswith(suffix) and len(tag) > len(suffix):
                return tag[: -len(suffix)] + "-"
        return tag


class RelatedTable:
    """A table of related tags.

    Attributes:
        card: What the table was built from, and when.
        rows: Maps each folded tag to its related tags, best first, separated by spaces.
    """

    def __init__(self, card: Mapping[str, Any], rows: Mapping[str, str]) -> None:
        self.card = card
        self.rows = rows

    def of(self, tag: str, k: int = 10) -> list[str]:
        """Return up to ``k`` related tags of exactly this tag, best first; empty if it is not in the table.

        Raises:
            ValueError: ``k`` is below 0.
        """
        if k < 0:
            raise ValueError(f"k must be 0 or more, not {k}")
        return self.rows.get(fold(tag), "").split()[:k]

    def save(self, path: Path) -> None:
        """Write the table; the output is deterministic."""
        lines = [json.dumps(self.card, ensure_ascii=False), *(f"{tag}\t{row}" for tag, row in self.rows.items())]
        path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))

    @classmethod
    def load(cls, path: "str | os.PathLike[str]" = BUNDLED) -> "RelatedTable":
        """Read a table that :meth:`save` wrote.

        Raises:
            VocabularyError: The file is not such a table, or cannot be read.
        """
        try:
            head, *lines = gzip.decompress(Path(path).read_bytes()).decode().split("\n")
            return cls(json.loads(head), dict(line.split("\t", 1) for line in lines))
        except (OSError, EOFError, ValueError) as error:
            raise VocabularyError(
                _("{path}: not a table of related tags: {error}").format(path=path, error=error)
            ) from error


def learn(posts: Sequence[Sequence[str]], normalizer: Normalizer, card: Mapping[str, Any]) -> RelatedTable:
    """Learn which tags are used together.

    All authors have the same weight, however many posts they wrote, so that a shop with many posts does not dominate.
    The score of tag B for tag A is B's share among the authors who use A, less B's share among the rest. Tags used with
    everything (일상, daily) therefore score low; scores of rare tags are damped, and spam is left out.

    Args:
        posts: The tags of each post, with or without ``#``, as typed.
        normalizer: Helps to recognize spellings of the same tag.
        card: Metadata to store with the table: the source of the posts.
    """
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    folded: list[list[str]] = []
    for post in posts:
        names: dict[str, None] = {}
        for part in parts(post):
            # A number cannot be a hashtag.
            if (name := fold(part)) and not name.isdecimal():
                shown[name][part] += 1
                names[name] = None
        folded.append(list(names))
    authors = group_by_author(folded)
    wrote = Counter(authors)
    uses: dict[str, float] = defaultdict(float)
    for names_of, author in zip(folded, authors, strict=True):
        for name in names_of:
            uses[name] += 1 / wrote[author]
    worth = {name for name, use in uses.items() if use >= _LEAST and " " not in name and not is_spam(name)}
    beside: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for names_of, author in zip(folded, authors, strict=True):
        kept = [name for name in names_of if name in worth]
        for name in kept:
            row = beside[name]
            for other in kept:
                row[other] += 1 / wrote[author]
    spellings = Spellings(normalizer)
    rows = {}
    for name in sorted(worth, key=lambda name: (-uses[name], name)):
        scores = _excess(beside[name], uses, name, len(wrote))
        best = (
            shown[other].most_common(1)[0][0] for other in sorted(scores, key=lambda other: (-scores[other], other))
        )
        if found := spellings.distinct(best, KEPT, beside=[name]):
            rows[name] = " ".join(found)
    return RelatedTable(card, rows)


def _excess(together: Mapping[str, float], uses: Mapping[str, float], name: str, authors: int) -> dict[str, float]:
    mine = uses[name]
    scores = {}
    for other, both in together.items():
        if other != name and both >= 2:
            score = both / (mine + _PRIOR) - (uses[other] - both) / max(authors - mine, 1)
            if score > 0:
                scores[other] = score
    return scores


def write_card(table: RelatedTable, path: Path) -> None:
    """Write a Markdown card beside a saved table that describes how it was built."""
    card = table.card
    dates = f", {card['from']} to {card['to']}" if card["from"] else ""
    path.with_name(path.name.split(".")[0] + ".md").write_text(
        f"""# {path.name}: related tags

- Learned from: {card["source"]} ({card["posts"]} posts{dates})
- Built: {card["built"]}, by `hashtagger related-build`
- Holds: {len(table.rows)} tags that {_LEAST:g} authors or more use, up to {KEPT} related tags each; no posts, no names
- How: share among the authors who use a tag, less the share among the rest; see `hashtagger.related.learn`
- Left out: tags that fish for followers, likes or customers, and spellings of one tag but the most used
- Measured by: `benchmarks/related.py`, on posts of other authors
""",
        encoding="utf-8",
    )


@once
def bundled() -> RelatedTable:
    """Return the bundled table, loaded on first use."""
    return RelatedTable.load()


def related(tag: str, k: int = 10) -> list[str]:
    """Return the tags that people use together with a tag, best first, without spam and other spellings of it.

    A tag that is not in the table gets the related tags of the label it means, if any: ``"댕댕이랑"`` gets those of
    ``"강아지"``.

    Args:
        tag: Any tag, with or without ``#``.
        k: Return at most this many; the table keeps 20.

    Raises:
        ValueError: ``k`` is below 0.
    """
    return bundled().of(tag, k) or bundled().of(normalize(tag).tag, k)
