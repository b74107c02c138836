"""Last pass: the folders each file belongs to, and a free name in each of them."""

import os
import sqlite3
from itertools import groupby
from pathlib import Path

from hashtagger.organize import names
from hashtagger.organize.intake import folder_id
from hashtagger.organize.journal import PLACE_INDEX, State
from hashtagger.organize.layout import Layout


def assign_places(db: sqlite3.Connection, layout: Layout, destination: Path) -> None:
    """Make the journal's places those that its posts call for.

    A place that is there already keeps its name; one no longer called for becomes surplus. What lies at the
    destination without being ours keeps its name too, and ours gets a number.
    """
    _count_tags(db)
    _collect_wanted(db, layout)
    _drop_unwanted(db)
    _note_foreign(db, destination)
    _take_free_names(db)
    _number_the_rest(db)


def _take_free_names(db: sqlite3.Connection) -> None:
    """Give all whose own name is free that name at one go; a query for each of a million would take too long."""
    fresh = db.execute("SELECT 1 FROM place").fetchone() is None
    skip = "0" if fresh else "EXISTS(SELECT 1 FROM place p WHERE p.file = w.file AND p.folder = w.folder)"
    if fresh:
        db.execute("DROP INDEX place_file")  # An index is made several times faster than kept.
    db.execute(
        f"""INSERT OR IGNORE INTO place(folder, key, file, name, xmp)
            SELECT w.folder, f.key, w.file, f.name, w.xmp FROM wanted w JOIN named f ON f.id = w.file
            WHERE NOT {skip} AND NOT EXISTS
            (SELECT 1 FROM foreign_name x WHERE x.folder = w.folder AND x.key IN (f.key, f.key || '.xmp'))
            ORDER BY w.folder, w.file"""
    )
    if fresh:
        db.execute(PLACE_INDEX)


def free_name(db: sqlite3.Connection, folder: int, name: str, start: int = 2) -> tuple[str, int]:
    """Find the first free numbered name in a folder, counting from ``start``; gives the name and its number."""
    number = start
    while True:
        candidate = names.numbered(name, number)
        key = names.key(candidate)
        if not db.execute("SELECT 1 FROM place WHERE folder = ? AND key = ?", (folder, key)).fetchone():
            return candidate, number
        number += 1


def _count_tags(db: sqlite3.Connection) -> None:
    db.execute("UPDATE tag SET uses = 0")
    db.execute(
        """UPDATE tag SET uses = counted.posts FROM
           (SELECT tag, COUNT(*) AS posts FROM post_tag
            WHERE post NOT IN (SELECT id FROM post WHERE same_as IS NOT NULL) GROUP BY tag) AS counted
           WHERE tag.id = counted.tag"""
    )
    db.execute(  # A post met again may have brought tags that it did not have before.
        """UPDATE tag SET uses = uses + added.posts FROM
           (SELECT pt.tag, COUNT(DISTINCT p.same_as) AS posts FROM post p JOIN post_tag pt ON pt.post = p.id
            WHERE p.same_as IS NOT NULL AND pt.tag NOT IN (SELECT o.tag FROM post_tag o WHERE o.post = p.same_as)
            GROUP BY pt.tag) AS added WHERE tag.id = added.tag"""
    )


def _collect_wanted(db: sqlite3.Connection, layout: Layout) -> None:
    """Collect which file belongs into which folder, and whether with its sidecar: in its month, or else everywhere."""
    db.execute("CREATE TEMP TABLE wanted(folder INT, file INT, xmp INT, PRIMARY KEY(folder, file)) WITHOUT ROWID")
    db.execute("CREATE TEMP TABLE named(id INTEGER PRIMARY KEY, name TEXT, key TEXT)")
    db.create_function("name_key", 1, names.key, deterministic=True)
    db.execute("INSERT INTO named SELECT id, name, name_key(name) FROM file WHERE same_as IS NULL")
    if "date" in layout.by:
        db.execute(
            """INSERT OR IGNORE INTO wanted SELECT p.month, COALESCE(f.same_as, f.id), 1
               FROM file f JOIN post p ON p.id = f.post"""
        )
    if "tag" in layout.by:
        with_xmp = "date" not in layout.by
        other = folder_id(db, layout.other)
        db.execute("CREATE TEMP TABLE tag_folder(tag INTEGER PRIMARY KEY, folder INT)")
        frequent = db.execute("SELECT id, name FROM tag WHERE uses >= ?", (layout.min_count,)).fetchall()
        db.executemany(
            "INSERT INTO tag_folder VALUES(?, ?)", [(tag, folder_id(db, layout.tag(name))) for tag, name in frequent]
        )
        db.execute(
            """INSERT OR IGNORE INTO wanted SELECT t.folder, COALESCE(f.same_as, f.id), ?
               FROM file f JOIN post_tag pt ON pt.post = f.post JOIN tag_folder t ON t.tag = pt.tag""",
            (with_xmp,),
        )
        # Nearly every post has some tag that no other has; in 기타 are those that would else be in no tag's folder.
        db.execute(
            """INSERT OR IGNORE INTO wanted SELECT ?, COALESCE(f.same_as, f.id), ? FROM file f WHERE NOT EXISTS
               (SELECT 1 FROM post_tag pt JOIN tag_folder t ON t.tag = pt.tag WHERE pt.post = f.post)""",
            (other, with_xmp),
        )


def _drop_unwanted(db: sqlite3.Connection) -> None:
    is_wanted = "EXISTS(SELECT 1 FROM wanted w WHERE w.folder = place.folder AND w.file = place.file)"
    db.execute(f"UPDATE place SET state = ? WHERE state = ? AND {is_wanted}", (State.PLANNED, State.SURPLUS))
    db.execute(f"UPDATE place SET state = ? WHERE NOT {is_wanted}", (State.SURPLUS,))
    # A place that is to have a sidecar from now on is reached once more.
    db.execute(
        """UPDATE place SET xmp = 1, state = ? WHERE xmp = 0 AND EXISTS
           (SELECT 1 FROM wanted w WHERE w.folder = place.folder AND w.file = place.file AND w.xmp)""",
        (State.PLANNED,),
    )


def _note_foreign(db: sqlite3.Connection, destination: Path) -> None:
    """Note what is in the wanted folders already, without being ours."""
    db.execute("CREATE TEMP TABLE foreign_name(folder INT, key TEXT, PRIMARY KEY(folder, key)) WITHOUT ROWID")
    folders = db.execute("SELECT id, path FROM folder WHERE id IN (SELECT folder FROM wanted)").fetchall()
    for folder, path in folders:
        if (destination / path).is_dir():
            with os.scandir(destination / path) as found:
                rows = ((folder, names.key(entry.name)) for entry in found)
                db.executemany("INSERT OR IGNORE INTO foreign_name VALUES(?, ?)", rows)
    for suffix in ("", ".xmp"):
        db.execute(
            """DELETE FROM foreign_name WHERE substr(key, length(key) - length(?1) + 1) = ?1 AND EXISTS
               (SELECT 1 FROM place p WHERE p.folder = foreign_name.folder
                AND p.key = substr(foreign_name.key, 1, length(foreign_name.key) - length(?1)))""",
            (suffix,),
        )


def _number_the_rest(db: sqlite3.Connection) -> None:
    rest = db.execute(
        """SELECT w.folder, f.key, f.name, w.file, w.xmp FROM wanted w JOIN named f ON f.id = w.file
           WHERE NOT EXISTS(SELECT 1 FROM place p WHERE p.file = w.file AND p.folder = w.folder)
           ORDER BY w.folder, f.key, w.file"""
    )
    is_foreign = "SELECT 1 FROM foreign_name WHERE folder = ? AND key IN (?, ? || '.xmp')"
    for (folder, _key), rows in groupby(rest, key=lambda row: (row[0], row[1])):
        number = 1
        for _folder, _same, name, file, xmp in rows:
            candidate, number = free_name(db, folder, name, number + 1)
            while db.execute(is_foreign, (folder, names.key(candidate), names.key(candidate))).fetchone():
                candidate, number = free_name(db, folder, name, number + 1)
            db.execute(
                "INSERT INTO place(folder, key, file, name, xmp) VALUES(?,?,?,?,?)",
                (folder, names.key(candidate), file, candidate, xmp),
            )
