"""Files at the tree's root that list its content, rewritten by each run: posts.csv, index.html, report.json."""

import json
import os
import sqlite3
from pathlib import Path

from hashtagger.i18n import _
from hashtagger.organize import files, names
from hashtagger.organize.apply import STAGE
from hashtagger.organize.gallery import writing_gallery
from hashtagger.organize.journal import FOLDER
from hashtagger.organize.layout import Layout
from hashtagger.organize.report import Report
from hashtagger.organize.rows import read_rows
from hashtagger.organize.table import writing_table
from hashtagger.posts.post import Problem

PAGES = ("posts.csv", "index.html", "report.json")


def write_pages(
    db: sqlite3.Connection, destination: Path, layout: Layout, report: Report
) -> tuple[Path, list[Problem]]:
    """Write the table, the gallery and the report; one whose content is the same as before is not touched.

    Returns:
        The path of the gallery, and a problem for each file of the user's that had one of the names and was kept.
    """
    table, gallery, totals = (staged(destination, name) for name in PAGES)
    with (
        table.open("wb") as table_file,
        gallery.open("wb") as gallery_file,
        writing_table(layout.lang, table_file) as add_to_table,
        writing_gallery(db, layout, gallery_file) as add_to_gallery,
    ):
        for row in read_rows(db):
            add_to_table(row)
            add_to_gallery(row)
    totals.write_bytes(json.dumps(report.totals(), ensure_ascii=False, indent=1).encode() + b"\n")
    before = {name: name for name in PAGES} | dict(db.execute("SELECT name, path FROM page").fetchall())
    paths = {name: _put(db, destination, name) for name in PAGES}
    cause = _("not as hashtagger wrote it, so it was kept; the new one is {name}")
    kept = [
        Problem(str(destination / before[name]), cause.format(name=path))
        for name, path in paths.items()
        if path != before[name] and os.path.lexists(destination / before[name])
    ]
    return destination / paths["index.html"], kept


def staged(destination: Path, name: str) -> Path:
    """Return the path at which a page is written before it is moved into place."""
    return destination / FOLDER / f"{STAGE}-{name}"


def _put(db: sqlite3.Connection, destination: Path, name: str) -> str:
    """Move a page into place, under a numbered name if its own is taken; return the name it got."""
    coming = staged(destination, name)
    digest = files.digest_at(coming)
    row = db.execute("SELECT path, digest, coming FROM page WHERE name = ?", (name,)).fetchone()
    path, ours = (row[0], row[1:]) if row else (name, ())
    if not os.path.lexists(destination / path):
        path = name
    number = 1
    while os.path.lexists(destination / path):
        there = files.digest_at(destination / path) if (destination / path).is_file() else None
        if there is not None and there in ours:
            break
        number += 1  # It is the user's, or was ours and has been edited: keep it.
        path = names.numbered(name, number)
    else:
        there = None
    if there == digest:
        coming.unlink()
        return path
    # Record both hashes until the new page is in place, so that after a kill either one is recognized as ours.
    db.execute("INSERT OR REPLACE INTO page VALUES(?, ?, ?, ?)", (name, path, there, digest))
    if there:
        coming.replace(destination / path)
    else:
        files.rename(coming, destination / path)
    db.execute("UPDATE page SET digest = coming, coming = NULL WHERE name = ?", (name,))
    return path
