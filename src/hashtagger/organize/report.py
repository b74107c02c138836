"""Report of a run, counted from the journal so that it is the same however often the run was interrupted."""

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hashtagger.organize.journal import THERE, State
from hashtagger.organize.plan import Placement, placements
from hashtagger.posts.post import Problem


@dataclass(frozen=True)
class Report:
    """The content of the sorted tree after a run, or the expected content in a dry run.

    Attributes:
        destination: Root of the tree.
        posts: Posts in it.
        files: Their files, counting the same content once.
        places: Paths of these files in the tree, without those that could not be put there.
        duplicates: Source files with the same content as another.
        tags: Tags with enough posts for a folder of their own.
        guesses: Posts whose time is a guess.
        by_model: Posts whose tag comes from the model.
        problems: Files that could not be used, each with its cause.
        new_files: Files that this run added, or would add, to the tree.
        dry_run: Whether this is only the plan.
        page: The gallery that shows the tree; ``None`` in a dry run.
    """

    destination: Path
    posts: int
    files: int
    places: int
    duplicates: int
    tags: int
    guesses: int
    by_model: int
    problems: list[Problem]
    new_files: int = 0
    dry_run: bool = False
    page: Path | None = None
    _journal: Path = field(default=Path(), repr=False)
    _draft: "TemporaryDirectory[str] | None" = field(default=None, repr=False)

    def placements(self) -> Iterator[Placement]:
        """Read the plan from the journal, sorted by path."""
        return placements(self._journal)

    def totals(self) -> dict[str, Any]:
        """Return the content of ``report.json``: the tree's state, without anything that differs from run to run."""
        names = ("posts", "files", "places", "duplicates", "tags", "guesses", "by_model")
        return {name: getattr(self, name) for name in names} | {"problems": [asdict(p) for p in self.problems]}


def count(
    db: sqlite3.Connection,
    destination: Path,
    min_count: int,
    problems: list[Problem],
    *,
    dry_run: bool = False,
    **more: Any,
) -> Report:
    """Count what a journal holds, or the draft of a dry run."""

    def number(query: str, *values: int) -> int:
        found: int = db.execute(f"SELECT COUNT(*) FROM {query}", values).fetchone()[0]
        return found

    return Report(
        destination=destination,
        posts=number("post WHERE same_as IS NULL"),
        files=number("file WHERE same_as IS NULL"),
        places=number(f"place WHERE {f'state != {State.SURPLUS}' if dry_run else THERE}"),
        duplicates=number("file WHERE same_as IS NOT NULL"),
        tags=number("tag WHERE uses >= ?", min_count),
        guesses=number("post WHERE guess AND same_as IS NULL"),
        by_model=number("post_tag WHERE by_model"),
        problems=problems,
        dry_run=dry_run,
        **more,
    )
