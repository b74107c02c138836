"""Files at the tree's root that tell what is in it, written anew by each run: posts.csv, index.html, report.json."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hashtagger.organize import files, names
from hashtagger.organize.apply import STAGE
from hashtagger.organize.gallery import write_gallery
from hashtagger.organize.journal import FOLDER
from hashtagger.organize.layout import Layout
from hashtagger.organize.report import Report
from hashtagger.organize.table import write_table


def write_pages(db: sqlite3.Connection, destination: Path, layout: Layout, report: Report) -> None:
    """Write the table, the gallery and the report; one that says the same as before is not touched."""
    totals = json.dumps(report.totals(), ensure_ascii=False, indent=1).encode() + b"\n"
    _write(db, destination, "posts.csv", lambda file: write_table(db, layout.lang, file))
    _write(db, destination, "index.html", lambda file: write_gallery(db, layout, file))
    _write(db, destination, "report.json", lambda file: file.write(totals))


def _write(db: sqlite3.Connection, destination: Path, name: str, fill: Callable[[BinaryIO], object]) -> None:
    staged = destination / FOLDER / f"{STAGE}-{name}"
    with staged.open("wb") as file:
        fill(file)
    digest = files.digest_at(staged)
    row = db.execute("SELECT path, digest, coming FROM page WHERE name = ?", (name,)).fetchone()
    path, ours = (row[0], row[1:]) if row else (name, ())
    number = 1
    while os.path.lexists(destination / path):
        there = files.digest_at(destination / path) if (destination / path).is_file() else None
        if there is not None and there in ours:
            break
        number += 1  # It is the user's, or was ours and has been edited: it stays.
        path, ours = names.numbered(name, number), ours
    else:
        there = None
    if there == digest:
        staged.unlink()
        return
    # Both hashes are ours until the new one is there, so that a kill in between leaves no doubt.
    db.execute("INSERT OR REPLACE INTO page VALUES(?, ?, ?, ?)", (name, path, there, digest))
    staged.replace(destination / path) if there else files.rename(staged, destination / path)
    db.execute("UPDATE page SET digest = coming, coming = NULL WHERE name = ?", (name,))
