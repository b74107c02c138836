"""posts.csv: one row a post, as Excel opens it with Korean intact."""

import csv
import io
import sqlite3
from typing import BinaryIO

_HEADINGS = {
    "ko": ("날짜", "해시태그", "내용", "링크", "장소", "날짜 추정", "파일"),
    "en": ("date", "tags", "caption", "permalink", "place", "date is a guess", "files"),
}
TAGS = "SELECT t.name, t.id FROM post_tag pt JOIN tag t ON t.id = pt.tag WHERE pt.post = ? ORDER BY pt.position"
# Of the places of each of a post's files, the one in the post's own month, or else the first.
PATHS = """SELECT path FROM (
    SELECT f.id, d.path || '/' || p.name AS path, MIN((d.id != o.month) || d.path) FROM file f
    JOIN post o ON o.id = f.post JOIN place p ON p.file = COALESCE(f.same_as, f.id) AND p.state IN (1, 2)
    JOIN folder d ON d.id = p.folder WHERE f.post = ? GROUP BY f.id ORDER BY f.id)"""
# A cell that begins like a formula would be run by Excel.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(db: sqlite3.Connection, lang: str, file: BinaryIO) -> None:
    """Write all posts, oldest first: UTF-8 with a byte order mark, CRLF.

    A caption or place that begins like a formula gets an apostrophe before it. Files are the first path of each.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow(_HEADINGS[lang])
    for number, taken_at, caption, permalink, place, guess in db.execute(
        "SELECT id, taken_at, caption, permalink, place, guess FROM post WHERE same_as IS NULL ORDER BY taken_at, id"
    ):
        words = [name for name, _tag in db.execute(TAGS, (number,))]
        paths = [path for (path,) in db.execute(PATHS, (number,))]
        row = (taken_at[:19].replace("T", " "), " ".join(f"#{word}" for word in words), _defused(caption),
               permalink or "", _defused(place or ""), "O" if guess else "", "\n".join(paths))  # fmt: skip
        table.writerow(row)
    text.detach()


def _defused(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text
