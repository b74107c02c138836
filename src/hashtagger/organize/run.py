"""An organize run: make a plan, publish it as the journal, apply it and write the pages."""

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
_IN_TREE = f"state != {State.PLANNED}"


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
    """Sort posts into folders by month and by hashtag without losing anything.

    The plan is written to ``destination/.hashtagger`` before any file is touched. Calling the function again resumes a
    run that was interrupted in any way and adds posts that are new; otherwise it changes nothing. Files that were at
    the destination before are never touched. Each photo and video gets an XMP sidecar beside it in its month folder (in
    every folder, if the tree has no months).

    Args:
        source: A folder, an archive, several archives of one export (see :func:`hashtagger.posts.open_source`), or a
            Source.
        destination: Root of the sorted tree; created if missing.
        by: ``"date"`` for ``날짜/2021/04``, ``"tag"`` for ``해시태그/강아지``, or both (also as ``"date,tag"``).
        mode: How new files get into the tree: ``"copy"``; ``"hardlink"`` or ``"symlink"`` to the source; or ``"move"``,
            which deletes a source file once its copy is verified and flushed to the drive. Files in an archive are
            always copied.
        min_count: How many posts (1 or more) a tag needs to get its own folder; a post without such a tag goes to 기타.
        timezone: IANA time zone that determines a post's month; it must be the same for all runs into a tree.
        tag_untagged: Whether the model tags posts that have no tags, where it is confident.
        dry_run: Only plan; write nothing to the destination.
        lang: ``"ko"`` or ``"en"``, the language of the folder names; by default that of the existing tree, else Korean.
        embed: Also write tags and caption into the copies of photos (JPEG, PNG, WebP).
        reels: Whether to include reels and IGTV videos of a data export.
        stories: Whether to include its stories.
        other: Whether to include its profile photos and other content.
        history: The user's past posts or tags: their spelling names the folders, and their habits help the model tag.
        user: TOML file with the user's own variants and exclusions, as :class:`~hashtagger.normalize.Normalizer` reads
            it; it applies to posts that are new to the tree.
        progress: Show progress bars on stderr.

    Returns:
        What the tree holds now (or would hold), and what could not be used.

    Raises:
        OrganizeError: An argument is invalid, or the destination cannot be written.
        SourceError: The source has no readable posts, or the time zone is unknown.
        VocabularyError: The user's file cannot be read or is invalid.
    """
    normalizer = Normalizer(user=user) if user else default_normalizer()
    habits = None if history is None else History.of(history, normalizer)
    root = files.without_dots(Path(destination)).absolute()
    journal = journal_path(root)
    zone = find_zone(timezone)
    if mode not in MODES:
        raise OrganizeError(_("no mode {mode}; choose from: {modes}").format(mode=mode, modes=", ".join(MODES)))
    if embed and mode != "copy":
        raise OrganizeError(_("embed writes into copies, so the mode must be copy"))
    there = _remembered(root)
    if (known := there.get("timezone", timezone)) != timezone:
        raise OrganizeError(_("{path} was sorted in time zone {zone}; use the same one").format(path=root, zone=known))
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
                new = _count_files(db) - _count_files(db, _IN_TREE)
                return count(db, root, min_count, problems, dry_run=True, new_files=new, _journal=path, _draft=scratch)
        _make(root)
        with only_one(root):
            if journal.exists():
                with connect(journal) as db:  # SQLite would apply a leftover log to the new journal.
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
    """Apply the plan and write the pages; ``problems`` are those found while planning."""
    before, stale = _count_files(db, _IN_TREE), _embedded_and_stale(db)
    with _bar(progress, _("Sorting"), _("files"), total=_count_files(db, f"state = {State.PLANNED}")) as tick:
        problems = _each_once(problems + apply(db, root, layout.tags, move=move, embed=embed, tick=tick))
    problems += (_not_embedded(db, root) if embed else []) + _older_inside(db, root, stale)
    new = _count_files(db, _IN_TREE) - before
    report = count(db, root, layout.min_count, problems, new_files=new, _journal=journal_path(root))
    page, kept = write_pages(db, root, layout, report)
    return replace(report, page=page, problems=problems + kept)


def _open(paths: Sequence["str | os.PathLike[str]"], root: Path, mode: Mode, **options: Any) -> Source:
    """Open the sources, which must not overlap with the destination."""
    sources = [files.without_dots(Path(path)) for path in paths]
    there = root.resolve()
    for path in (source.resolve() for source in sources):
        # An archive is only read, so it may be inside the destination.
        if path == there or path in there.parents or (there in path.parents and not path.is_file()):
            raise OrganizeError(_("{path}: source and destination must not overlap").format(path=root))
    try:
        return open_source(sources, **options)
    except SourceError:
        # A run that was killed at its very end has moved everything out of the source but still has to be resumed.
        if mode == "move" and journal_path(root).exists() and all(path.exists() for path in sources):
            return _EmptiedSource()
        raise


class _EmptiedSource:
    """A source without posts, because an earlier run moved all its files."""

    problems: Sequence[Problem] = ()

    def posts(self) -> Iterator[Post]:
        """Yield no posts."""
        return iter(())


def _count_files(db: sqlite3.Connection, places: str = "1") -> int:
    """Count the files that have a place matching an SQL condition."""
    found: int = db.execute(f"SELECT COUNT(DISTINCT file) FROM place WHERE {places}").fetchone()[0]
    return found


def _each_once(problems: list[Problem]) -> list[Problem]:
    """Drop problems found again as a file was copied; what found them first may name the file by a relative path."""
    found: dict[tuple[Path, str], Problem] = {}
    for problem in problems:
        found.setdefault((Path(problem.location).absolute(), problem.cause), problem)
    return list(found.values())


def _not_embedded(db: sqlite3.Connection, root: Path) -> list[Problem]:
    """Report how many copies equal their sources, because embedding skipped them or an earlier run made them."""
    found = db.execute("SELECT COUNT(*) FROM file WHERE content = digest AND sidecar IS NOT NULL").fetchone()[0]
    cause = _("{count} files have their tags only in the .xmp beside them; embed works only for new JPEG, PNG and WebP")
    return [Problem(str(root), cause.format(count=found))] if found else []


def _embedded_and_stale(db: sqlite3.Connection) -> dict[tuple[int, str], str]:
    """Return the copies with embedded tags whose sidecar will be rewritten: their ids and hashes, with its old hash."""
    query = """SELECT id, digest, sidecar FROM file WHERE content != digest AND sidecar IS NOT NULL
               AND id IN (SELECT file FROM place WHERE xmp = ?)"""
    return {(number, digest): sidecar for number, digest, sidecar in db.execute(query, (Sidecar.STALE,))}


def _older_inside(db: sqlite3.Connection, root: Path, stale: dict[tuple[int, str], str]) -> list[Problem]:
    """Report how many copies have outdated tags inside: the sidecar was rewritten, but copies never are.

    A file of which no copy was left has been copied again, so its hash is another.
    """
    if not stale:
        return []
    now = db.execute("SELECT id, digest, sidecar FROM file")
    found = sum(stale.get((number, digest), sidecar) != sidecar for number, digest, sidecar in now)
    cause = _("{count} photos have their new caption and tags only in the .xmp beside them; the old ones stay inside")
    return [Problem(str(root), cause.format(count=found))] if found else []


def _remembered(root: Path) -> dict[str, str]:
    """Read the metadata of an existing tree without touching its journal.

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
        if journal.with_name(NAME + "-wal").exists():  # A run was interrupted: the journal needs its log.
            with TemporaryDirectory(prefix="hashtagger-") as scratch, draft(journal, Path(scratch)) as db:
                return dict(db.execute(everything).fetchall())
        with closing(sqlite3.connect(f"{journal.as_uri()}?immutable=1", uri=True)) as db:
            return dict(db.execute(everything).fetchall())
    except sqlite3.DatabaseError as error:
        raise OrganizeError(f"{journal}: {error}") from error


def _make(root: Path) -> None:
    """Create the destination and our folder in it; record (NUL-terminated) which folders were missing, for undo."""
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

    # With disable=None there is no bar unless stderr is a terminal.
    with tqdm(total=total, desc=what, unit=" " + unit, disable=None) as bar:
        yield bar.update
