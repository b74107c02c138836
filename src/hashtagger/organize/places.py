"""Last pass: choose the folders that each file belongs in, and a free name in each of them.

The work is done in temporary tables, as there may be a million files:

- ``named``: each file with its preferred name and that name's key.
- ``wanted``: which file belongs in which folder, and whether with its sidecar.
- ``tag_folder``: the tags that have a folder.
- ``apart``: the files whose name depends on the name of another file.
- ``foreign_name``: the names in those folders that are not ours.
"""

import os
import sqlite3
from itertools import chain, count, groupby
from pathlib import Path

from hashtagger.organize import names
from hashtagger.organize.intake import folder_id
from hashtagger.organize.journal import PLACE_INDEX, THERE, Sidecar, State
from hashtagger.organize.layout import Layout


def assign_places(db: sqlite3.Connection, layout: Layout, destination: Path, first_new: int) -> None:
    """Update the places in the journal to match its posts.

    A file already in the tree keeps its name; a place no longer wanted becomes surplus; a file that somebody deleted is
    planned again. Foreign files at the destination keep their names too, and ours get numbers. Files of one post whose
    names differ only in their extensions get the same number, because a photo, its video and its sidecars are
    recognized as belonging together by their common name.

    Args:
        db: Draft of the journal.
        layout: The folders of the tree.
        destination: Root of the sorted tree; only read.
        first_new: Id of the first file that is new in this plan.
    """
    count_tags(db)
    _collect_wanted(db, layout)
    _set_apart(db, first_new)
    _drop_unwanted(db)
    _collect_names(db, destination)
    _replan_missing(db)
    _remove_our_names(db)
    _assign_free_names(db)
    _assign_numbered_names(db, destination)


def count_tags(db: sqlite3.Connection) -> None:
    """Count the posts of each tag."""
    db.execute("UPDATE tag SET uses = 0")
    db.execute(
        """UPDATE tag SET uses = counted.posts FROM
           (SELECT tag, COUNT(*) AS posts FROM post_tag
            WHERE post NOT IN (SELECT id FROM post WHERE same_as IS NOT NULL) GROUP BY tag) AS counted
           WHERE tag.id = counted.tag"""
    )
    db.execute(  # A duplicate of a post may have tags that the post lacks.
        """UPDATE tag SET uses = uses + added.posts FROM
           (SELECT pt.tag, COUNT(DISTINCT p.same_as) AS posts FROM post p JOIN post_tag pt ON pt.post = p.id
            WHERE p.same_as IS NOT NULL AND pt.tag NOT IN (SELECT o.tag FROM post_tag o WHERE o.post = p.same_as)
            GROUP BY pt.tag) AS added WHERE tag.id = added.tag"""
    )


def _collect_wanted(db: sqlite3.Connection, layout: Layout) -> None:
    """Fill ``wanted``. A file has its sidecar in its month folder, or in every folder if there are no months."""
    db.execute("CREATE TEMP TABLE wanted(folder INT, file INT, xmp INT, PRIMARY KEY(folder, file)) WITHOUT ROWID")
    db.execute("CREATE TEMP TABLE named(id INTEGER PRIMARY KEY, name TEXT, key TEXT)")
    db.create_function("name_key", 1, names.key, deterministic=True)
    db.create_function("name_stem", 1, names.stem, deterministic=True)
    db.execute("INSERT INTO named SELECT id, name, name_key(name) FROM file WHERE same_as IS NULL")
    if "date" in layout.by:
        db.execute(
            """INSERT OR IGNORE INTO wanted SELECT p.month, COALESCE(f.same_as, f.id), TRUE
               FROM file f JOIN post p ON p.id = f.post"""
        )
    if "tag" in layout.by:
        with_xmp = "date" not in layout.by
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
        # Files in no tag folder go to 기타. A rare tag alone does not put one there: nearly every post has one.
        db.execute(
            """INSERT OR IGNORE INTO wanted SELECT ?, f.id, ? FROM file f WHERE f.same_as IS NULL AND NOT EXISTS
               (SELECT 1 FROM post_tag pt JOIN tag_folder t ON t.tag = pt.tag WHERE pt.post = f.post) AND NOT EXISTS
               (SELECT 1 FROM file g JOIN post_tag pt ON pt.post = g.post JOIN tag_folder t ON t.tag = pt.tag
                WHERE g.same_as = f.id)""",
            (folder_id(db, layout.other), with_xmp),
        )


def _set_apart(db: sqlite3.Connection, first_new: int) -> None:
    """Fill ``apart`` with the user's own sidecars and with new files of posts that are already known.

    A photo for which the user has a sidecar, ``IMG_1.jpg.xmp`` or ``IMG_1.xmp``, gets none of ours.
    """
    db.execute("CREATE TEMP TABLE apart(id INTEGER PRIMARY KEY)")
    db.execute("INSERT INTO apart SELECT id FROM named WHERE key GLOB '*.*.xmp'")
    db.execute(
        """UPDATE wanted SET xmp = FALSE WHERE file IN
           (SELECT photo.id FROM named theirs JOIN file f ON f.id = theirs.id JOIN file g ON g.post = f.post
            JOIN named photo ON photo.id = g.id AND theirs.key IN (photo.key || '.xmp', name_stem(photo.key) || '.xmp')
            WHERE theirs.key GLOB '*.xmp')"""
    )
    if first_new > 1:
        db.execute(
            """INSERT OR IGNORE INTO apart SELECT f.id FROM file f WHERE f.id >= ?1 AND f.same_as IS NULL
               AND EXISTS (SELECT 1 FROM file g WHERE g.post = f.post AND g.id < ?1)""",
            (first_new,),
        )


def _drop_unwanted(db: sqlite3.Connection) -> None:
    """Mark places and sidecars that are no longer wanted as surplus, and those wanted again as planned."""
    is_wanted = "EXISTS(SELECT 1 FROM wanted w WHERE w.folder = place.folder AND w.file = place.file)"
    db.execute(f"UPDATE place SET state = ? WHERE state = ? AND {is_wanted}", (State.PLANNED, State.SURPLUS))
    db.execute(f"UPDATE place SET state = ? WHERE NOT {is_wanted}", (State.SURPLUS,))
    wants = "EXISTS(SELECT 1 FROM wanted w WHERE w.folder = place.folder AND w.file = place.file AND w.xmp = ?)"
    db.execute(  # A place that now needs a sidecar is planned again, so that landing writes it.
        f"UPDATE place SET xmp = ?, state = ? WHERE xmp IN (?, ?) AND {wants}",
        (Sidecar.WANTED, State.PLANNED, Sidecar.NONE, Sidecar.SURPLUS, True),
    )
    db.execute(
        f"UPDATE place SET xmp = ? WHERE xmp IN (?, ?) AND {wants}",
        (Sidecar.SURPLUS, Sidecar.WANTED, Sidecar.STALE, False),
    )


def _collect_names(db: sqlite3.Connection, destination: Path) -> None:
    """Fill ``foreign_name`` with all names in the wanted folders, for now including ours."""
    db.execute("CREATE TEMP TABLE foreign_name(folder INT, key TEXT, PRIMARY KEY(folder, key)) WITHOUT ROWID")
    folders = db.execute("SELECT id, path FROM folder WHERE id IN (SELECT folder FROM wanted)").fetchall()
    for folder, path in folders:
        if (destination / path).is_dir():
            with os.scandir(destination / path) as found:
                rows = ((folder, names.key(entry.name)) for entry in found)
                db.executemany("INSERT OR IGNORE INTO foreign_name VALUES(?, ?)", rows)


def _replan_missing(db: sqlite3.Connection) -> None:
    """Plan files and sidecars again that somebody has removed from the tree."""
    gone = "NOT EXISTS(SELECT 1 FROM foreign_name x WHERE x.folder = place.folder AND x.key = place.key"
    db.execute(f"UPDATE place SET state = ? WHERE {THERE} AND {gone})", (State.PLANNED,))
    db.execute(
        f"""UPDATE place SET xmp = ? WHERE xmp = ? AND {THERE} AND {gone} || '.xmp')
            AND file IN (SELECT id FROM file WHERE sidecar IS NOT NULL)""",
        (Sidecar.STALE, Sidecar.WANTED),
    )


def _remove_our_names(db: sqlite3.Connection) -> None:
    """Remove our own names from ``foreign_name``."""
    for suffix in ("", ".xmp"):
        db.execute(
            """DELETE FROM foreign_name WHERE substr(key, length(key) - length(?1) + 1) = ?1 AND EXISTS
               (SELECT 1 FROM place p WHERE p.folder = foreign_name.folder
                AND p.key = substr(foreign_name.key, 1, length(foreign_name.key) - length(?1)))""",
            (suffix,),
        )


def _assign_free_names(db: sqlite3.Connection) -> None:
    """Give every file whose own name is free that name, in one statement: a million statements take too long."""
    fresh = db.execute("SELECT 1 FROM place").fetchone() is None
    skip = "0" if fresh else "EXISTS(SELECT 1 FROM place p WHERE p.file = w.file AND p.folder = w.folder)"
    if fresh:
        db.execute("DROP INDEX place_file")  # Rebuilding the index is several times faster than updating it.
    db.execute(
        f"""INSERT OR IGNORE INTO place(folder, key, file, name, xmp)
            SELECT w.folder, f.key, w.file, f.name, w.xmp FROM wanted w JOIN named f ON f.id = w.file
            WHERE NOT {skip} AND w.file NOT IN (SELECT id FROM apart)
            AND NOT (w.folder IN (SELECT folder FROM foreign_name) AND EXISTS
              (SELECT 1 FROM foreign_name x WHERE x.folder = w.folder AND x.key IN (f.key, f.key || '.xmp')))
            ORDER BY w.folder, w.file"""
    )
    if fresh:
        db.execute(PLACE_INDEX)


def _assign_numbered_names(db: sqlite3.Connection, destination: Path) -> None:
    """Give numbered names to the remaining files, the same number to files of a post that belong together."""
    rest = db.execute(
        """SELECT w.folder, name_stem(n.key), f.post, w.file, n.name, w.xmp
           FROM wanted w JOIN named n ON n.id = w.file JOIN file f ON f.id = w.file
           WHERE NOT EXISTS(SELECT 1 FROM place p WHERE p.file = w.file AND p.folder = w.folder)
           ORDER BY w.folder, name_stem(n.key), f.post, w.file"""
    )
    for (folder, stem), alike in groupby(rest, key=lambda row: row[:2]):
        last: dict[tuple[str, ...], int] = {}  # the last number given to files with these names
        for post, rows in groupby(alike, key=lambda row: row[2]):
            waiting = {file: (name, xmp) for *_same, file, name, xmp in rows}
            fixed = _withdraw_names(db, destination, folder, stem, post, waiting)
            while waiting:
                # Of two files with the same name, the later one waits for the next round, to get its own number.
                together = {names.key(name): file for file, (name, _xmp) in sorted(waiting.items(), reverse=True)}
                files = [(file, *waiting.pop(file)) for file in together.values()]
                keys = tuple(sorted(together))
                for number in chain(fixed, count(last.get(keys, 0) + 1)):
                    given = [(file, names.numbered(name, number), xmp) for file, name, xmp in files]
                    if all(_is_free(db, folder, name) for _file, name, _xmp in given):
                        break
                last[keys] = number
                db.executemany(
                    "INSERT INTO place(folder, key, file, name, xmp) VALUES(?,?,?,?,?)",
                    [(folder, names.key(name), file, name, xmp) for file, name, xmp in given],
                )


def _withdraw_names(
    db: sqlite3.Connection, destination: Path, folder: int, stem: str, post: int, waiting: dict[int, tuple[str, int]]
) -> set[int]:
    """Withdraw the names of files that belong together with those in ``waiting``, and add the files to it.

    A file that may already be in the tree under its name keeps it.

    Returns:
        The numbers of the names that are kept.
    """
    fixed = set()
    for file, name, xmp, state, given, path in db.execute(
        """SELECT n.id, n.name, w.xmp, p.state, p.name, d.path FROM file f JOIN named n ON n.id = f.id
           JOIN place p INDEXED BY place_file ON p.file = f.id AND p.folder = ?1
           JOIN wanted w ON w.file = f.id AND w.folder = ?1 JOIN folder d ON d.id = ?1 WHERE f.post = ?2""",
        (folder, post),
    ).fetchall():
        if names.stem(name) != stem:
            continue
        final = destination / path / given
        if state == State.PLANNED and not any(map(os.path.lexists, (final, f"{final}.xmp"))):
            db.execute("DELETE FROM place WHERE folder = ? AND key = ?", (folder, names.key(given)))
            waiting[file] = name, xmp
        else:
            fixed.add(names.number_of(name, given))
    return fixed


def _is_free(db: sqlite3.Connection, folder: int, name: str) -> bool:
    """Return whether a name and that of its sidecar are free, and the name is not that of one of our sidecars."""
    key = names.key(name)
    taken = f"""SELECT 1 FROM place WHERE folder = ?1 AND key IN (?2, ?2 || '.xmp')
                UNION ALL SELECT 1 FROM place WHERE folder = ?1 AND key = ?3 AND xmp = {Sidecar.WANTED}
                UNION ALL SELECT 1 FROM foreign_name WHERE folder = ?1 AND key IN (?2, ?2 || '.xmp')"""
    return db.execute(taken, (folder, key, key.removesuffix(".xmp"))).fetchone() is None
