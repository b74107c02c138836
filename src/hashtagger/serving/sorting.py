"""Organizing a library: plan first, then copy into a folder on this machine, with undo.

On a server with accounts, users have no folder on this machine and download a ZIP instead.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _, language
from hashtagger.organize import Report, organize, undo
from hashtagger.posts.post import Media, Problem
from hashtagger.posts.post import Post as SourcePost
from hashtagger.serving.asking import local_path
from hashtagger.serving.pages import page
from hashtagger.serving.services import Db, Parts, Services, Someone, mine
from hashtagger.serving.settings import ZONE
from hashtagger.serving.store import Post, Sorting, User
from hashtagger.serving.zipping import files_below, zipped

router = APIRouter(prefix="/library/sort")
UNDER_WAY = ("planning", "running", "undoing")
_NEXT = {"apply": ("planned", "running"), "undo": ("done", "undoing"), "again": ("failed", None)}
_SHOWN = 200
Own = Annotated[Sorting, Depends(mine(Sorting))]


@router.get("")
def show(request: Request, user: Someone, db: Db) -> Response:
    """Show the form and the latest sortings."""
    sortings = db.scalars(select(Sorting).where(Sorting.user_id == user.id).order_by(Sorting.id.desc()).limit(20))
    return page(request, "sort.html", sortings=list(sortings))


@router.post("")
def plan(
    services: Parts,
    user: Someone,
    db: Db,
    by: Annotated[list[str], Form(default_factory=list)],
    destination: Annotated[str, Form(max_length=4000)] = "",
    min_count: Annotated[int, Form(ge=1, le=1_000_000)] = 2,
) -> Response:
    """Start planning a sorting."""
    folder = "" if services.settings.accounts else str(_destination(services, destination))
    if not by or not set(by) <= {"date", "tag"}:
        raise HTTPException(422, _("choose folders by month, by hashtag or both"))
    if not folder:
        forget_zips(services, db, user)
    db.add(
        Sorting(
            user_id=user.id,
            destination=folder,
            by=by,
            min_count=min_count,
            language=language(),
            state="planning",
        )
    )
    db.commit()
    services.wake.set()
    return RedirectResponse("/library/sort", 303)


@router.get("/{number}")
def progress(request: Request, sorting: Own) -> Response:
    """Show the progress of a sorting."""
    return page(request, "sorting.html", sorting=sorting)


@router.get("/{number}/hashtagger.zip")
def download(request: Request, services: Parts, db: Db, sorting: Own) -> Response:
    """Download the sorted files of a plan without a destination folder as a ZIP."""
    tree = _tree_of(services, sorting)
    if sorting.destination or sorting.state != "planned" or not tree.is_dir():
        raise HTTPException(404)
    # Return the connection to the pool: sending may take hours.
    db.close()
    # For HEAD, which gets the headers only, no photo is read.
    content = zipped(files_below(tree)) if request.method == "GET" else iter(())
    return StreamingResponse(content, media_type="application/zip")


@router.post("/{number}/dismiss")
def dismiss(services: Parts, db: Db, sorting: Own) -> Response:
    """Remove a sorting from the page, and the links for its ZIP; a sorted folder stays as it is."""
    if sorting.state not in UNDER_WAY:
        _forget(services, db, sorting)
        db.commit()
    return Response()


@router.post("/{number}/{action}")
def go_on(request: Request, services: Parts, db: Db, sorting: Own, action: str) -> Response:
    """Apply a plan, undo it or retry the step that failed."""
    if action not in _NEXT or not sorting.destination:
        raise HTTPException(404)
    before, after = _NEXT[action]
    if sorting.state == before:
        sorting.state = sorting.step = after or sorting.step
        db.commit()
        services.wake.set()
    return page(request, "sorting.html", sorting=sorting)


def run_sorting(services: Services, number: int) -> None:
    """Run the step that a sorting's state asks for; it can safely be run again after a crash."""
    with services.sessions() as db:
        sorting = db.get(Sorting, number)
        if sorting is None:
            return
        root = Path(sorting.destination) if sorting.destination else _tree_of(services, sorting)
        try:
            if sorting.state == "undoing":
                undone = undo(root)
                sorting.report = removed = {"removed": undone.removed}
                sorting.problems = [asdict(one) for one in undone.problems]
                # A folder has one journal, so undoing it also undoes every other sorting into it.
                same = (Sorting.user_id == sorting.user_id, Sorting.destination == sorting.destination)
                db.execute(update(Sorting).where(*same, Sorting.state == "done").values(state="undone", report=removed))
                sorting.state = "undone"
            else:
                planning = sorting.state == "planning"
                report = organize(
                    LibrarySource(services, sorting.user_id),
                    root,
                    by=sorting.by,
                    # Symlinks for a ZIP take no space.
                    mode="copy" if sorting.destination else "symlink",
                    min_count=sorting.min_count,
                    timezone=ZONE.key,
                    tag_untagged=False,
                    lang=sorting.language,
                    dry_run=planning and bool(sorting.destination),
                )
                sorting.report = report.totals() | {"new_files": report.new_files} | _placements(report)
                sorting.problems = sorting.report.pop("problems")
                sorting.state = "planned" if planning else "done"
        except HashtaggerError as error:
            cause = str(error).removeprefix(f"{sorting.destination}: ")
            sorting.problems = [asdict(Problem(sorting.destination, cause))]
            sorting.state = "failed"
        db.commit()


def _placements(report: Report) -> dict[str, object]:
    """Return the number of files for each folder, and the paths of the first files."""
    folders: Counter[str] = Counter()
    first: list[str] = []
    for placement in report.placements():
        if placement.how == "remove":
            continue
        folders[placement.path.rpartition("/")[0]] += 1
        if len(first) < _SHOWN:
            first.append(placement.path)
    return {"folders": dict(folders), "first": first}


class LibrarySource:
    """A user's library, with its corrected tags, as a source of posts.

    Args:
        services: The server's services.
        user: The user's id.
    """

    def __init__(self, services: Services, user: int) -> None:
        self.problems: list[Problem] = []
        self._services = services
        self._user = user

    def posts(self) -> Iterator[SourcePost]:
        """Yield all posts, oldest first."""
        photos = self._services.photos(self._user)
        query = select(Post).where(Post.user_id == self._user).order_by(Post.taken_at, Post.id)
        with self._services.sessions() as db:
            for post in db.scalars(
                query.options(selectinload(Post.media), selectinload(Post.tags)).execution_options(yield_per=500)
            ):
                paths = [(one, photos.path(one.digest, one.suffix)) for one in post.media]
                media = tuple(
                    Media(one.name, one.name, one.kind, path=path)  # type: ignore[arg-type]
                    for one, path in paths
                )
                tags = tuple(tag.tag for tag in post.tags)
                taken_at = post.taken_at.astimezone(ZONE)
                yield SourcePost(taken_at, media, post.caption, tags, post.permalink, post.guess, post.place)


def _destination(services: Services, typed: str) -> Path:
    """Validate the destination folder: writable, on this machine, and neither inside nor around the data folder."""
    folder = local_path(typed)
    inside, there = services.settings.data_dir.resolve(), folder.resolve()
    if there == inside or inside in there.parents or there in inside.parents:
        raise HTTPException(
            422, _("{path}: the library itself is kept there; choose another folder").format(path=folder)
        )
    nearest = next(path for path in (there, *there.parents) if path.exists())
    if not nearest.is_dir():
        raise HTTPException(422, _("{path}: is not a folder; choose another").format(path=nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise HTTPException(422, _("{path}: cannot be written to; choose another folder").format(path=nearest))
    return folder


def _tree_of(services: Services, sorting: Sorting) -> Path:
    """Folder of the symlinks to the library's photos that a ZIP is made from."""
    return services.photos(sorting.user_id).root / "zips" / str(sorting.id)


def forget_zips(services: Services, db: Session, user: User) -> None:
    """Delete a user's ZIP plans: a new one replaces them, and they hold the captions of posts removed since."""
    old = select(Sorting).where(Sorting.user_id == user.id, Sorting.destination == "", Sorting.state.not_in(UNDER_WAY))
    for sorting in db.scalars(old).all():
        _forget(services, db, sorting)


def _forget(services: Services, db: Session, sorting: Sorting) -> None:
    shutil.rmtree(_tree_of(services, sorting), ignore_errors=True)
    db.delete(sorting)
