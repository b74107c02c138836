"""The end of a move: delete the sources, each only once its content is verified in the tree."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from hashtagger.errors import cause_of
from hashtagger.i18n import _
from hashtagger.organize import files
from hashtagger.organize.journal import RESTORING, Released, State
from hashtagger.posts.post import Problem


def release(db: sqlite3.Connection, destination: Path) -> list[Problem]:
    """Delete the sources of moved files whose copies have been flushed to the drive.

    Returns:
        The sources that were kept, with the reason, and those that could not be deleted.
    """
    rows = db.execute(  # A copy that an earlier run embedded tags in is compared with its source, and so it stays.
        f"""SELECT f.id, f.path, f.size, f.mtime, f.released, c.id,
            CASE WHEN c.id = f.id AND c.content = c.digest THEN c.digest END,
            d.path || '/' || p.name FROM file f JOIN file c ON c.id = COALESCE(f.same_as, f.id)
            JOIN place p ON p.file = c.id AND p.state = {State.SAFE} JOIN folder d ON d.id = p.folder
            WHERE f.how = 'move' AND f.member = '' AND f.released != {Released.YES} GROUP BY f.id"""
    ).fetchall()
    problems: list[Problem] = []
    going: list[tuple[int, Path, Path]] = []
    digests: list[tuple[str, int]] = []
    permissions: list[tuple[int, int]] = []
    gone: list[int] = []
    for number, path, size, mtime, released, stored, digest, place in rows:
        source, final = Path(path), destination / place
        in_doubt = released == Released.IN_DOUBT
        if in_doubt:  # An undo may have been killed while restoring it.
            with suppress(OSError):
                source.with_name(RESTORING).unlink(missing_ok=True)
        if not os.path.lexists(source):
            if in_doubt:  # A killed run had deleted it; otherwise, somebody else did.
                gone.append(number)
            continue
        found = _verified(source, final, size, mtime, digest)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            going.append((number, source, final))
            digests.append((found, stored))
            if not in_doubt:  # A killed undo may have restored it without them.
                permissions.append((stat.S_IMODE(source.stat().st_mode), number))
    db.execute("BEGIN")
    db.executemany("UPDATE file SET permissions = ? WHERE id = ?", permissions)
    db.executemany(
        "UPDATE file SET content = COALESCE(content, ?1), digest = COALESCE(digest, ?1) WHERE id = ?2", digests
    )
    _note(db, [number for number, *_paths in going], Released.IN_DOUBT)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint")  # Undo relies on this record, so it must survive a power cut.
    for number, source, final in going:
        try:
            files.remove(source, final)
        except OSError as error:
            problems.append(Problem(str(source), cause_of(error)))
            continue
        gone.append(number)
    db.execute("BEGIN")
    _note(db, [row[0] for row in rows], Released.NO)
    _note(db, gone, Released.YES)
    db.execute("COMMIT")
    return problems


def _note(db: sqlite3.Connection, numbers: list[int], released: Released) -> None:
    db.executemany("UPDATE file SET released = ? WHERE id = ?", [(released, number) for number in numbers])


def _verified(source: Path, final: Path, size: int, mtime: int, digest: str | None) -> str | Problem:
    """Return the SHA-256 of a moved file at its place, or the reason why its source has to stay."""
    try:
        if source.is_symlink():
            return Problem(str(source), _("is a link: not deleted"))
        if not final.exists():
            return Problem(str(final), _("missing: its source is not deleted"))
        if final.is_symlink():
            return Problem(str(source), _("its only copy is a link: not deleted"))
        if not files.is_unchanged(source, size, mtime):
            return Problem(str(source), _("changed since it was copied: not deleted"))
        found = files.digest_at(final)
        if not final.samefile(source) and found != (digest or files.digest_at(source)):
            return Problem(str(final), _("changed since it was copied: its source is not deleted"))
        return found
    except OSError as error:
        return Problem(str(source), cause_of(error))
