"""One run: plan, publish the plan as the journal, apply it, write the pages."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from hashtagger.errors import OrganizeError, SourceError
from hashtagger.history import History, Past
from hashtagger.i18n import _
from hashtagger.normalize import Normalizer, default_normalizer
from hashtagger.organize import files
from hashtagger.organize.apply import apply
from hashtagger.organize.journal import (
    DRAFT,
    FOLDER,
    MADE,
    NAME,
    Sidecar,
    State,
    connect,
    draft,
    in_one_line,
    journal_path,
    only_one,
    open_database,
)
from hashtagger.organize.layout import Layout
from hashtagger.organize.pages import PAGES, write_pages
from hashtagger.organize.plan import make_plan, publish
from hashtagger.organize.report import Report, count
from hashtagger.posts import open_source
from hashtagger.posts.dates import find_zone
from hashtagger.posts.post import Post, Problem, Source

MODES = ("copy", "hardlink", "symlink", "move")
Mode = Literal["copy", "hardlink", "symlink", "move"]
_BROUGHT = f"state != {State.PLANNED}"


def organize(
    source: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Source",
    destination: "str | os.PathLike[str]",
    *,
    by: str | Sequence[str] = ("date", "tag"),
    mode: Mode = "copy",
    min_count: int = 2,
    timezone: str = "Asia/Seoul",
    tag_untagged: bool = True,
    dry_run: bool = False,
    lang: str | None = None,
    embed: bool = False,
    reels: bool = True,
    stories: bool = False,
    other: bool = False,
    history: Past | None = None,
    user: "str | os.PathLike[str] | None" = None,
    progress: bool = False,
) -> Report:
    """Sort posts into folders by month and by hashtag, losing nothing.

    The plan is written to ``destination/.hashtagger`` before anything else is done. A run that was interrupted, in
    whatever way, is taken up by the same call; a second call changes nothing; new posts are added to the old. Files
    that are at the destination already are never touched. Each photo and video has an XMP sidecar beside it in the
    folder of its month (in every folder, where there are no months).

    Args:
        source: A folder or archive, or the several archives of one export (see
            :func:`hashtagger.posts.open_source`), or a Source.
        destination: Root of the sorted tree; made when missing.
        by: ``"date"`` for ``날짜/2021/04``, ``"tag"`` for ``해시태그/강아지``, or both (``"date,tag"`` too).
        mode: How files get there that are not there yet: ``"copy"``; ``"hardlink"`` or ``"symlink"`` to the source; or
            ``"move"``, which deletes a source file once its copy is verified and on the drive. What lies in an archive
            is copied.
        min_count: How many posts (1 or more) a tag needs for a folder of its own; a post none of whose tags has one
            goes to 기타.
        timezone: IANA zone that tells a post's month; one for all runs into a tree.
        tag_untagged: Whether the model tags posts that have no tags, where it is sure.
        dry_run: Only plan: nothing is written at the destination.
        lang: ``"ko"`` or ``"en"`` for the folders' names; by default those of the tree that is there, else Korean.
        embed: Write tags and caption into the copies of photos too (JPEG, PNG, WebP).
        reels: Whether reels and IGTV videos of a data export are taken too.
        stories: Whether its stories are taken too.
        other: Whether its profile photos and other content are taken too.
        history: What the user wrote before: their spelling names the folders, their habits help the model tag.
        user: TOML file of the user's own variants and exclusions, as :class:`~hashtagger.normalize.Normalizer` reads
            it; it counts for posts that are new to the tree.
        progress: Show progress bars on stderr.

    Returns:
        What the tree holds now (or would hold), and what could not be used.

    Raises:
        OrganizeError: An argument makes no sense, or the destination cannot be written.
        SourceError: The source holds no posts that can be read, or there is no such time zone.
        VocabularyError: The user's file cannot be read, or does not say what it must.
    """
    normalizer = Normalizer(user=user) if user else default_normalizer()
    habits = None if history is None else History.of(history, normalizer)
    root = files.without_dots(Path(destination)).absolute()
    journal = journal_path(root)
    zone = find_zone(timezone)
    if mode not in MODES:
        raise OrganizeError(_("no mode {mode}; choose from: {modes}").format(mode=mode, modes=", ".join(MODES)))
    if embed and mode != "copy":
        raise OrganizeError(_("embed writes into copies: it takes mode copy"))
    there = _remembered(root)
    if (known := there.get("timezone", timezone)) != timezone:
        raise OrganizeError(
            _("{path} is sorted by the time of {zone}; give that time zone").format(path=root, zone=known)
        )
    kinds = tuple(kind.strip() for kind in (by.split(",") if isinstance(by, str) else by))
    layout = Layout(kinds, lang or there.get("lang", "ko"), min_count)
    if isinstance(source, Source):
        posts = source
    else:
        paths = [source] if isinstance(source, (str, os.PathLike)) else source
        posts = _open(paths, root, mode, timezone=timezone, reels=reels, stories=stories, other=other)

    def plan(folder: Path) -> list[Problem]:
        with _bar(progress, _("Planning"), _("posts")) as tick:
            return make_plan(
                posts, root, journal, folder, layout=layout, zone=zone, how=mode, tag=tag_untagged,
                normalizer=normalizer, history=habits, seen=lambda post: tick(1),
            )  # fmt: skip

    with in_one_line(root):
        if dry_run:
            scratch = TemporaryDirectory(prefix="hashtagger-")
            problems = plan(Path(scratch.name))
            path = Path(scratch.name) / DRAFT
            with closing(open_database(path)) as db:
                new = _files(db) - _files(db, _BROUGHT)
                return count(db, root, min_count, problems, dry_run=True, new_files=new, _journal=path, _draft=scratch)
        _make(root)
        with only_one(root):
            if journal.exists():
                with connect(journal) as db:  # What is left in its log would be taken for the new journal's.
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            problems = plan(root / FOLDER)
            publish(root / FOLDER, journal)
            with connect(journal) as db:
                return _carry_out(db, root, layout, problems, move=mode == "move", embed=embed, progress=progress)


def _carry_out(
    db: sqlite3.Connection,
    root: Path,
    layout: Layout,
    problems: list[Problem],
    *,
    move: bool,
    embed: bool,
    progress: bool,
) -> Report:
    """Apply the plan and write the pages; ``problems`` are those that planning met."""
    before, stale = _files(db, _BROUGHT), _embedded_and_stale(db)
    with _bar(progress, _("Sorting"), _("files"), total=_files(db, f"state = {State.PLANNED}")) as tick:
        problems = problems + apply(db, root, layout.tags, move=move, embed=embed, tick=tick)
    problems += (_not_embedded(db, root) if embed else []) + _older_inside(db, root, stale)
    new = _files(db, _BROUGHT) - before
    report = count(db, root, layout.min_count, problems, new_files=new, _journal=journal_path(root))
    page, kept = write_pages(db, root, layout, report)
    return replace(report, page=page, problems=problems + kept)


def _open(paths: Sequence["str | os.PathLike[str]"], root: Path, mode: Mode, **options: Any) -> Source:
    """Open sources that lie apart from the destination."""
    sources = [files.without_dots(Path(path)) for path in paths]
    there = root.resolve()
    for path in (source.resolve() for source in sources):
        # An archive is only read, and may lie where its posts go.
        if path == there or path in there.parents or (there in path.parents and not path.is_file()):
            raise OrganizeError(_("{path}: source and destination must lie apart").format(path=root))
    try:
        return open_source(sources, **options)
    except SourceError:
        # A run that was killed at its very end has moved everything, and is yet to be taken up.
        if mode == "move" and journal_path(root).exists() and all(path.exists() for path in sources):
            return _Emptied()
        raise


class _Emptied:
    """What an earlier run left of a source whose files it moved: nothing."""

    problems: Sequence[Problem] = ()

    def posts(self) -> Iterator[Post]:
        """Yield no post."""
        return iter(())


def _files(db: sqlite3.Connection, places: str = "1") -> int:
    """Count the files that have a place for which an SQL condition is true."""
    found: int = db.execute(f"SELECT COUNT(DISTINCT file) FROM place WHERE {places}").fetchone()[0]
    return found


def _not_embedded(db: sqlite3.Connection, root: Path) -> list[Problem]:
    """Tell how many copies are the same as their sources, as embedding left them or an earlier run made them."""
    found = db.execute("SELECT COUNT(*) FROM file WHERE content = digest AND sidecar IS NOT NULL").fetchone()[0]
    cause = _("{count} files have their tags only in the .xmp beside them; embed writes into new JPEG, PNG and WebP")
    return [Problem(str(root), cause.format(count=found))] if found else []


def _embedded_and_stale(db: sqlite3.Connection) -> set[tuple[int, str]]:
    """Find the copies with words inside whose sidecar is to be written anew, each with the sidecar's hash."""
    query = """SELECT id, sidecar FROM file WHERE content != digest AND sidecar IS NOT NULL
               AND id IN (SELECT file FROM place WHERE xmp = ?)"""
    return set(db.execute(query, (Sidecar.STALE,)).fetchall())


def _older_inside(db: sqlite3.Connection, root: Path, stale: set[tuple[int, str]]) -> list[Problem]:
    """Tell how many copies have other words beside them by now than inside, as those are never rewritten."""
    found = len(stale - set(db.execute("SELECT id, sidecar FROM file").fetchall()))
    cause = _("{count} photos have their new caption and tags in the .xmp beside them; inside, the old ones stay")
    return [Problem(str(root), cause.format(count=found))] if found else []


def _remembered(root: Path) -> dict[str, str]:
    """What is remembered of the tree that is there, read without touching its journal.

    Raises:
        OrganizeError: The journal is damaged, or the tree was copied without it.
    """
    journal = journal_path(root)
    if not journal.exists():
        if not all((root / page).is_file() for page in PAGES):
            return {}
        cause = _("{path}: sorted, but its hidden folder .hashtagger is missing; copy it too, or give an empty folder")
        raise OrganizeError(cause.format(path=root))
    everything = "SELECT name, value FROM meta"
    try:
        if journal.with_name(NAME + "-wal").exists():  # A run was stopped: the journal counts with its log only.
            with TemporaryDirectory(prefix="hashtagger-") as scratch, draft(journal, Path(scratch)) as db:
                return dict(db.execute(everything).fetchall())
        with closing(sqlite3.connect(f"{journal.as_uri()}?immutable=1", uri=True)) as db:
            return dict(db.execute(everything).fetchall())
    except sqlite3.DatabaseError as error:
        raise OrganizeError(f"{journal}: {error}") from error


def _make(root: Path) -> None:
    """Make the destination and our folder in it, and note for undo which folders were missing, a NUL after each."""
    own = root / FOLDER
    if (own / MADE).exists():
        return
    missing = [path for path in (root, *root.parents) if not path.exists()]
    try:
        own.mkdir(parents=True, exist_ok=True)
        (own / MADE).write_bytes(b"".join(os.fsencode(path) + b"\0" for path in missing))
    except OSError:
        (own / MADE).unlink(missing_ok=True)
        for path in (own, *missing):
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _bar(progress: bool, what: str, unit: str, total: int | None = None) -> Iterator[Any]:
    if not progress:
        yield lambda number: None
        return
    from tqdm import tqdm

    # Where nobody looks (a log, a pipe) there is no bar.
    with tqdm(total=total, desc=what, unit=" " + unit, disable=None) as bar:
        yield bar.update
