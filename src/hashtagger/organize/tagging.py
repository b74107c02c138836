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
    """Tag untagged posts with the model's best tag for their first photo, if confident; it sees each post only once.

    Args:
        db: Draft of the journal.
        destination: Root of the sorted tree, which has the photos of earlier runs.
        history: The user's past posts, for :meth:`hashtagger.recommend.Recommender.recommend_each`.

    Returns:
        Photos that this run or an earlier one could not read, or the reason why there is no model.
    """
    photos = """FROM post JOIN file f ON f.post = post.id AND f.kind = 'photo'
                WHERE post.same_as IS NULL AND asked IS NULL
                AND NOT EXISTS (SELECT 1 FROM post_tag t WHERE t.post = post.id) AND NOT EXISTS
                (SELECT 1 FROM post again JOIN post_tag t ON t.post = again.id WHERE again.same_as = post.id)"""
    problems: list[Problem] = []
    if db.execute(f"SELECT 1 {photos} LIMIT 1").fetchone():
        # SQLite takes bare columns from the row with the MIN().
        columns = "post.id, COALESCE(f.same_as, f.id), f.name, f.kind, f.path, f.member, f.size, MIN(f.id)"
        # A query left open, when the model fails or the user interrupts it, would lock the tables.
        with closing(db.execute(f"SELECT {columns} {photos} GROUP BY post.id")) as rows:
            try:
                _ask(db, _photos(db, destination, rows, problems), history)
            except HashtaggerError as error:
                if _was_interrupted(error):
                    raise KeyboardInterrupt from error
                problems.append(Problem("model", str(error)))
    failed = db.execute(
        """SELECT f.name, f.kind, f.path, f.member, f.size, asked, MIN(f.id) FROM post
           JOIN file f ON f.post = post.id AND f.kind = 'photo' WHERE asked != '' GROUP BY post.id"""
    )
    return problems + [Problem(media_of(*row).location, cause) for *row, cause, _first in failed]


def _was_interrupted(error: BaseException) -> bool:
    """Return whether an error was caused by Ctrl-C, which becomes an ImportError while onnxruntime loads."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or (cause is not None and _was_interrupted(cause))


def drop_guesses(db: sqlite3.Connection) -> None:
    """Remove the model's tags from posts that now have tags of the user's."""
    guessed = db.execute(
        """SELECT post FROM post_tag m WHERE by_model AND EXISTS (SELECT 1 FROM post_tag t WHERE NOT t.by_model
           AND (t.post = m.post OR t.post IN (SELECT id FROM post WHERE same_as = m.post)))"""
    ).fetchall()
    renew_sidecars(db, (post for (post,) in guessed))
    db.executemany("DELETE FROM post_tag WHERE by_model AND post = ?", guessed)


def _ask(db: sqlite3.Connection, photos: Iterator[tuple[int, Path | bytes]], history: "History | None") -> None:
    """Ask the model for a tag for each (post, photo), and record that it was asked, or why it failed."""
    import numpy  # noqa: F401 - Ctrl-C while torch imports it would be printed and ignored

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
    """Yield each post with its photo: from the tree if it is there, as the source may be gone, else from the source."""
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
