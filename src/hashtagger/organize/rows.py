"""Posts as the table and the gallery show them, read from the journal a few hundred at a time."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from hashtagger.organize.journal import THERE

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A post as the pages show it.

    Attributes:
        taken_at: ISO 8601.
        caption: Its text; like all strings here, ``""`` if there is none.
        permalink: Its URL.
        place: The name of its place.
        guess: Whether ``taken_at`` is only a guess.
        tags: Row id and name of each of its tags.
        by_model: Names of the tags that only the model gave.
        paths: For each file, its path in the month folder, or else its first path.
    """

    taken_at: str
    caption: str
    permalink: str
    place: str
    guess: bool
    tags: list[tuple[int, str]]
    by_model: list[str]
    paths: list[str]


def read_rows(db: sqlite3.Connection) -> Iterator[Row]:
    """Read all posts, oldest first."""
    posts = db.execute(  # As text, times in the hour that is repeated when summer time ends would not be in order.
        """SELECT id, taken_at, caption, permalink, place, guess FROM post WHERE same_as IS NULL
           ORDER BY julianday(taken_at), taken_at, id"""
    )
    while batch := posts.fetchmany(_BATCH):
        numbers = [row[0] for row in batch]
        wanted = f"IN ({','.join('?' * len(numbers))})"
        tags: dict[int, dict[int, str]] = defaultdict(dict)
        written: dict[int, set[str]] = defaultdict(set)
        for post, tag, name, by_model in db.execute(
            f"""SELECT COALESCE(o.same_as, o.id), t.id, t.name, pt.by_model FROM post o
                JOIN post_tag pt ON pt.post = o.id JOIN tag t ON t.id = pt.tag
                WHERE o.id {wanted} OR o.same_as {wanted} ORDER BY o.id, pt.position""",
            numbers * 2,
        ):
            tags[post][tag] = name
            if not by_model:
                written[post].add(name)
        paths: dict[int, list[str]] = defaultdict(list)
        # SQLite takes bare columns from the row with the MIN().
        for post, path, _least, _file in db.execute(
            f"""SELECT f.post, d.path || '/' || p.name, MIN((d.id != o.month) || d.path), f.id FROM file f
                JOIN post o ON o.id = f.post JOIN place p ON p.file = COALESCE(f.same_as, f.id) AND p.{THERE}
                JOIN folder d ON d.id = p.folder WHERE f.post {wanted} GROUP BY f.id ORDER BY f.id""",
            numbers,
        ):
            paths[post].append(path)
        for number, taken_at, caption, permalink, place, guess in batch:
            tagged = list(tags[number].items())
            by_model = [name for _tag, name in tagged if name not in written[number]]
            yield Row(taken_at, caption, permalink or "", place or "", bool(guess), tagged, by_model, paths[number])
