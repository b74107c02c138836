"""index.html: the sorted tree as a single page that needs no server and no network."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, BinaryIO

from hashtagger.organize.layout import Layout
from hashtagger.organize.rows import Row

# Browsers show these; any other file is a tile with its name.
_PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp")
_VIDEOS = (".mp4", ".mov", ".webm", ".m4v")
_WORDS = {
    "ko": {
        "lang": "ko", "title": "내 게시물", "all": "전체", "months": "날짜", "month": "월", "year": "년",
        "tags": "해시태그", "more": "더 보기", "menu": "목록", "search": "글, 태그, 날짜로 찾기",
        "none": "찾는 게시물이 없습니다.", "post": "게시물",
        "close": "닫기", "back": "이전", "next": "다음", "open": "인스타그램에서 열기",
    },
    "en": {
        "lang": "en", "title": "My posts", "all": "All", "months": "Months", "month": "", "year": "", "tags": "Tags",
        "more": "More", "menu": "Menu", "search": "Words, tags, a date", "none": "No such post.", "post": "Post",
        "close": "Close", "back": "Back", "next": "Next", "open": "Open on Instagram",
    },
}  # fmt: skip
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@contextmanager
def writing_gallery(db: sqlite3.Connection, layout: Layout, file: BinaryIO) -> Iterator[Callable[[Row], object]]:
    """Write the gallery, yielding a function that adds a post to it.

    The page has tags and months at the side and thumbnails that open a post. The posts are data inside the page; the
    photos themselves serve as thumbnails, each loaded only when it comes into view.
    """
    page = files("hashtagger.organize").joinpath("gallery.html").read_text(encoding="utf-8")
    for word, text in _WORDS[layout.lang].items():
        page = page.replace(f"{{{{{word}}}}}", text)
    head, tail = page.split("{{data}}")
    file.write(head.encode())
    # The third column tells whether the tag is in the menu. The page counts the posts, as it does not show all of them.
    tags = db.execute("SELECT id, name, uses >= ? FROM tag WHERE uses ORDER BY name", (layout.min_count,)).fetchall()
    file.write(b'{"tags":' + _json(tags) + b',"posts":[')
    separator = b"\n"

    def add(row: Row) -> None:
        nonlocal separator
        if row.paths:
            numbers, shown = [tag for tag, _name in row.tags], _kinds(row.paths)
            when = row.taken_at[:16].replace("T", " ")
            file.write(separator + _json([when, row.caption, row.permalink, int(row.guess), numbers, shown, row.place]))
            separator = b",\n"

    yield add
    file.write(b"]}" + tail.encode())


def _kinds(paths: list[str]) -> list[list[Any]]:
    """Pair each path with how the page shows it: 1 as a photo, 2 as a video, 0 as a tile with its name."""
    return [
        [path, 1 if path.lower().endswith(_PHOTOS) else 2 if path.lower().endswith(_VIDEOS) else 0] for path in paths
    ]


def _json(value: Any) -> bytes:
    # "</script>" or "<!--" in a caption must not end the data.
    return _ENCODER.encode(value).replace("<", "\\u003c").encode()
