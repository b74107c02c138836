"""Files at the tree's root that tell what is in it, written anew by each run: posts.csv, index.html, report.json."""

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
    """Write the table, the gallery and the report; one that says the same as before is not touched.

    Returns:
        Where the gallery is, and the files in the way of one of the three that are the user's: these have stayed.
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
    """Where a page is written before it takes its place."""
    return destination / FOLDER / f"{STAGE}-{name}"


def _put(db: sqlite3.Connection, destination: Path, name: str) -> str:
    """Let a page take its place, or a numbered one where that is taken; gives its name there."""
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
        number += 1  # It is the user's, or was ours and has been edited: it stays.
        path = names.numbered(name, number)
    else:
        there = None
    if there == digest:
        coming.unlink()
        return path
    # Both hashes are ours until the new one is there, so that a kill in between leaves no doubt.
    db.execute("INSERT OR REPLACE INTO page VALUES(?, ?, ?, ?)", (name, path, there, digest))
    if there:
        coming.replace(destination / path)
    else:
        files.rename(coming, destination / path)
    db.execute("UPDATE page SET digest = coming, coming = NULL WHERE name = ?", (name,))
    return path
