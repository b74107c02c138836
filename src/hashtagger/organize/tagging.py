"""Tags from the model for posts that have none."""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from hashtagger.errors import HashtaggerError, cause_of
from hashtagger.organize.intake import media_of, renew_sidecars, tag_id
from hashtagger.organize.journal import THERE
from hashtagger.posts.post import Problem
from hashtagger.recommend import Recommender

if TYPE_CHECKING:
    from hashtagger.history import History


def tag_untagged(db: sqlite3.Connection, destination: Path, history: "History | None" = None) -> list[Problem]:
    """Give each post without tags the best tag of its first photo, where the model is sure; it is asked once a post.

    Args:
        db: Draft of the journal.
        destination: Root of the sorted tree, which has the photos of earlier runs.
        history: What the user wrote before, for :meth:`hashtagger.recommend.Recommender.recommend_each`.

    Returns:
        Photos that could not be read, by this run or an earlier one, or why there is no model.
    """
    photos = """FROM post JOIN file f ON f.post = post.id AND f.kind = 'photo'
                WHERE post.same_as IS NULL AND asked IS NULL
                AND NOT EXISTS (SELECT 1 FROM post_tag t WHERE t.post = post.id) AND NOT EXISTS
                (SELECT 1 FROM post again JOIN post_tag t ON t.post = again.id WHERE again.same_as = post.id)"""
    problems: list[Problem] = []
    if db.execute(f"SELECT 1 {photos} LIMIT 1").fetchone():
        # A bare column beside MIN() is of the row that has the minimum.
        columns = "post.id, COALESCE(f.same_as, f.id), f.name, f.kind, f.path, f.member, f.size, MIN(f.id)"
        # A query that is left open, as where the model fails or somebody stops it, would lock the tables.
        with closing(db.execute(f"SELECT {columns} {photos} GROUP BY post.id")) as rows:
            try:
                _ask(db, _photos(db, destination, rows, problems), history)
            except HashtaggerError as error:
                if _was_stopped(error):
                    raise KeyboardInterrupt from error
                problems.append(Problem("model", str(error)))
    failed = db.execute(
        """SELECT f.name, f.kind, f.path, f.member, f.size, asked, MIN(f.id) FROM post
           JOIN file f ON f.post = post.id AND f.kind = 'photo' WHERE asked != '' GROUP BY post.id"""
    )
    return problems + [Problem(media_of(*row).location, cause) for *row, cause, _first in failed]


def _was_stopped(error: BaseException) -> bool:
    """Tell whether an error comes of Ctrl-C: while onnxruntime loads, that ends as an ImportError."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or (cause is not None and _was_stopped(cause))


def drop_guesses(db: sqlite3.Connection) -> None:
    """Take the model's tags from posts that have tags of the user's by now."""
    guessed = db.execute(
        """SELECT post FROM post_tag m WHERE by_model AND EXISTS (SELECT 1 FROM post_tag t WHERE NOT t.by_model
           AND (t.post = m.post OR t.post IN (SELECT id FROM post WHERE same_as = m.post)))"""
    ).fetchall()
    renew_sidecars(db, (post for (post,) in guessed))
    db.executemany("DELETE FROM post_tag WHERE by_model AND post = ?", guessed)


def _ask(db: sqlite3.Connection, photos: Iterator[tuple[int, Path | bytes]], history: "History | None") -> None:
    """Ask the model for a tag of each (post, photo), and note that it was asked, or why it could not tell."""
    import numpy  # noqa: F401 - a Ctrl-C while torch itself loads it would be printed and forgotten

    posts: deque[int] = deque()

    def each() -> Iterator[Path | bytes]:
        for post, photo in photos:
            posts.append(post)
            yield photo

    found: list[tuple[int, int]] = []
    asked: list[tuple[str, int]] = []
    for photo, answer in Recommender().recommend_each(each(), top_k=1, history=history):
        post = posts.popleft()
        if isinstance(answer, HashtaggerError):
            name = str(photo) if isinstance(photo, Path) else str(answer).partition(": ")[0]
            asked.append((str(answer).removeprefix(f"{name}: "), post))
            continue
        asked.append(("", post))
        if answer:
            found.append((post, tag_id(db, answer[0].tag)))
    db.executemany("UPDATE post SET asked = ? WHERE id = ?", asked)
    db.executemany("INSERT INTO post_tag(post, position, tag, by_model) VALUES(?, 0, ?, 1)", found)
    renew_sidecars(db, (post for post, _tag in found))


def _photos(
    db: sqlite3.Connection, destination: Path, rows: Any, problems: list[Problem]
) -> Iterator[tuple[int, Path | bytes]]:
    """Yield the photo of each row: the tree's, as its source may be gone by now, or else the source."""
    for post, stored, *row, _first in rows:
        places = db.execute(
            f"""SELECT d.path || '/' || p.name FROM place p JOIN folder d ON d.id = p.folder
                WHERE p.file = ? AND p.{THERE}""",
            (stored,),
        )
        media = media_of(*row)
        there = next((path for (place,) in places if (path := destination / place).is_file()), media.path)
        if there is not None:
            yield post, there
            continue
        try:
            with media.open() as file:
                photo = file.read()
        except (OSError, BadZipFile) as error:
            problems.append(Problem(media.location, cause_of(error)))
            continue
        yield post, photo
