"""Tags from the model for posts that have none."""

import sqlite3
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from hashtagger.errors import HashtaggerError
from hashtagger.organize.intake import media_of, tag_id
from hashtagger.posts.post import Problem

if TYPE_CHECKING:
    from hashtagger.history import History


def tag_untagged(db: sqlite3.Connection, first_new: int, history: "History | None" = None) -> list[Problem]:
    """Give each post without tags the best tag of its first new photo, where the model is sure of it.

    Args:
        db: Draft of the journal.
        first_new: The first file (row) that was not there before.
        history: What the user wrote before, for :meth:`hashtagger.recommend.Recommender.recommend_each`.

    Returns:
        Photos that could not be read, or why there is no model.
    """
    untagged = "f.id >= ? AND NOT EXISTS(SELECT 1 FROM post_tag t WHERE t.post = post.id)"
    photos = f"FROM post JOIN file f ON f.post = post.id AND f.kind = 'photo' WHERE {untagged} GROUP BY post.id"
    if not db.execute(f"SELECT 1 {photos} LIMIT 1", (first_new,)).fetchone():
        return []
    problems: list[Problem] = []
    asked: deque[tuple[int, str]] = deque()
    found: list[tuple[int, int]] = []
    # A bare column beside MIN() is of the row that has the minimum.
    rows = db.execute(f"SELECT post.id, f.name, f.kind, f.path, f.member, f.size, MIN(f.id) {photos}", (first_new,))
    try:
        from hashtagger.recommend import Recommender

        for _photo, answer in Recommender().recommend_each(_photos(rows, asked, problems), top_k=1, history=history):
            post, location = asked.popleft()
            if isinstance(answer, HashtaggerError):
                problems.append(Problem(location, str(answer)))
            elif answer:
                found.append((post, tag_id(db, answer[0].tag)))
    except HashtaggerError as error:
        problems.append(Problem("model", str(error)))
    db.executemany("INSERT INTO post_tag(post, position, tag, by_model) VALUES(?, 0, ?, 1)", found)
    return problems


def _photos(rows: Any, asked: "deque[tuple[int, str]]", problems: list[Problem]) -> Iterator[Path | bytes]:
    for post, *row, _first in rows:
        media = media_of(*row)
        photo: Path | bytes | None = media.path
        if photo is None:
            try:
                with media.open() as file:
                    photo = file.read()
            except (OSError, BadZipFile) as error:
                problems.append(Problem(media.location, getattr(error, "strerror", None) or str(error)))
                continue
        asked.append((post, media.location))
        yield photo
