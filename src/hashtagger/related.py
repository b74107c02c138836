"""Related tags: what people write beside a tag, learned from posts."""

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
_LEAST = 6.0  # authors who use a tag, for it to have related tags
_PRIOR = 2.0  # authors imagined who use a tag beside nothing, so that a rare tag proves little


@lru_cache(maxsize=1)
def _spam() -> tuple[re.Pattern[str], frozenset[str]]:
    language = read_language()
    # Only pieces are a group, so that what is no spam (전문의) is passed over with the piece in it (문의).
    no_spam, pieces = ("|".join(map(re.escape, language[name])) for name in ("no_spam", "spam"))
    return re.compile(f"{no_spam}|({pieces})"), frozenset(language["spam_tags"])


def is_spam(tag: str) -> bool:
    """Tell whether a tag only fishes for followers, likes or customers (맞팔, likeforlikes, 협찬)."""
    name = fold(tag)
    pieces, whole = _spam()
    return name in whole or any(match[1] for match in pieces.finditer(name))


class Spellings:
    """Tells two spellings of one tag from two tags of one meaning.

    멍스타그램 and 멍스타, or dog and dogs, are spellings of one; 댕댕이 and 멍멍이 are two.
    """

    def __init__(self, normalizer: Normalizer) -> None:
        self._keys: Callable[[str], tuple[str, ...]] = lambda tag: normalizer.normalize(tag).canonical[:1]
        self._suffixes = sorted(read_language()["suffixes"], key=len, reverse=True)

    def same(self, a: str, b: str) -> bool:
        """Tell whether two tags are one but for spelling."""
        a, b = fold(a), fold(b)
        if a == b or self._stem(a) == self._stem(b):
            return True
        keys = self._keys(a)
        return bool(keys) and keys == self._keys(b) and one_slip(spell(a), spell(b))

    def distinct(self, tags: Iterable[str], k: int, beside: Sequence[str] = ()) -> list[str]:
        """Take the first ``k`` tags of which no two, and none of ``beside``, are spellings of one."""
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
    """Related tags of many tags.

    Attributes:
        card: What it was built from, and when.
        rows: For each folded tag, its related tags, best first, with a space between.
    """

    def __init__(self, card: Mapping[str, Any], rows: Mapping[str, str]) -> None:
        self.card = card
        self.rows = rows

    def of(self, tag: str, k: int = 10) -> list[str]:
        """Name up to ``k`` related tags of exactly this tag, best first; none where it is not in the table.

        Raises:
            ValueError: ``k`` is below 0.
        """
        if k < 0:
            raise ValueError(f"k must be 0 or more, not {k}")
        return self.rows.get(fold(tag), "").split()[:k]

    def save(self, path: Path) -> None:
        """Write the table; the same table always makes the same bytes."""
        lines = [json.dumps(self.card, ensure_ascii=False), *(f"{tag}\t{row}" for tag, row in self.rows.items())]
        path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))

    @classmethod
    def load(cls, path: "str | os.PathLike[str]" = BUNDLED) -> "RelatedTable":
        """Read a table that :meth:`save` wrote.

        Raises:
            VocabularyError: It is none, or cannot be read.
        """
        try:
            head, *lines = gzip.decompress(Path(path).read_bytes()).decode().split("\n")
            return cls(json.loads(head), dict(line.split("\t", 1) for line in lines))
        except (OSError, EOFError, ValueError) as error:
            raise VocabularyError(
                _("{path}: not a table of related tags: {error}").format(path=path, error=error)
            ) from error


def learn(posts: Sequence[Sequence[str]], normalizer: Normalizer, card: Mapping[str, Any]) -> RelatedTable:
    """Learn which tags go together.

    Every author counts as much as any other, however many posts they wrote, so that no shop makes its tags
    everyone's. A tag is related as far as its share among the authors who use the other exceeds its share among
    the rest: what is beside everything (일상, daily) falls behind, what is rare proves little, and spam
    is left out.

    Args:
        posts: The tags of each post, with or without ``#``, as typed.
        normalizer: Tells spellings of one tag apart from two tags.
        card: What to write down of where the posts come from.
    """
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    folded: list[list[str]] = []
    for post in posts:
        names: dict[str, None] = {}
        for part in parts(post):
            if name := fold(part):
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
    """Write down, beside a saved table, from what it was learned and how."""
    card = table.card
    path.with_name(path.name.split(".")[0] + ".md").write_text(
        f"""# {path.name}: related tags

- Learned from: {card["source"]} ({card["posts"]} posts, {card["from"]} to {card["to"]})
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
    """Load the table that comes with hashtagger, once."""
    return RelatedTable.load()


def related(tag: str, k: int = 10) -> list[str]:
    """Name the tags that people write beside a tag, best first, without spam and spellings of it.

    A tag that was too rare to learn from is answered as the label it means (``"댕댕이랑"`` as ``"강아지"``); one that
    means none has no related tags.

    Args:
        tag: Any tag, with or without ``#``.
        k: At most this many; the table keeps 20.

    Raises:
        ValueError: ``k`` is below 0.
    """
    return bundled().of(tag, k) or bundled().of(normalize(tag).tag, k)
