"""posts.csv: one row per post, encoded so that Excel shows Korean correctly."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from hashtagger.organize.rows import Row

_HEADINGS = {
    "ko": ("날짜", "해시태그", "모델이 단 해시태그", "내용", "링크", "장소", "날짜 추정", "파일"),
    "en": ("date", "tags", "tags by the model", "caption", "permalink", "place", "date is a guess", "files"),
}
# Excel would evaluate a cell that begins like a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def writing_table(lang: str, file: BinaryIO) -> Iterator[Callable[[Row], object]]:
    """Write the table (UTF-8 with a byte order mark, CRLF), yielding a function that adds a post to it.

    A caption or place that begins like a formula is prefixed with an apostrophe. Each file is listed with one path.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow(_HEADINGS[lang])

    def add(row: Row) -> None:
        tags = " ".join(f"#{name}" for _tag, name in row.tags)
        by_model = " ".join(f"#{name}" for name in row.by_model)
        when, guess, paths = row.taken_at[:19].replace("T", " "), "O" if row.guess else "", "\n".join(row.paths)
        table.writerow((when, tags, by_model, _defused(row.caption), row.permalink, _defused(row.place), guess, paths))

    yield add
    text.detach()


def _defused(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text
