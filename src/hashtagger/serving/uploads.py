"""Adding to the library: uploads from a browser, or a folder or archive on this machine."""

import os
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Annotated

from anyio import open_file, to_thread
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect

from hashtagger.errors import cause_of
from hashtagger.i18n import _, language
from hashtagger.posts.archive import safe_name
from hashtagger.serving.asking import local_path
from hashtagger.serving.importing import PROBLEMS_KEPT
from hashtagger.serving.pages import page
from hashtagger.serving.services import Db, Parts, Services, Someone, mine
from hashtagger.serving.store import Import, Leftover, User, now, storable

router = APIRouter(prefix="/library")
_LONGEST = 1000
_DONE_SHOWN = timedelta(days=1)
Work = Annotated[Import, Depends(mine(Import))]


@router.post("/imports")
def add(services: Parts, user: Someone, db: Db, path: Annotated[str, Form(max_length=4000)]) -> Response:
    """Import a folder or an archive on this machine."""
    if services.settings.accounts:
        raise HTTPException(404)
    source = local_path(path)
    if not source.exists():
        raise HTTPException(422, _("{path}: no such file or folder").format(path=source))
    _add(db, user, source.name, source, "waiting")
    services.wake.set()
    return RedirectResponse("/library", 303)


@router.get("/imports")
def progress(request: Request, user: Someone, db: Db) -> Response:
    """Show the progress of imports."""
    return page(request, "imports.html", imports=recent(db, user))


@router.post("/imports/{number}/dismiss")
def dismiss(request: Request, user: Someone, db: Db, work: Work) -> Response:
    """Remove a finished import from the page, or cancel an upload."""
    if work.state in ("done", "failed", "receiving"):
        if work.uploaded:
            db.add(Leftover(folder=f"uploads/{work.id}"))
        db.delete(work)
        db.commit()
        if work.uploaded:
            shutil.rmtree(work.path, ignore_errors=True)
    return page(request, "imports.html", imports=recent(db, user))


@router.post("/uploads")
def begin(services: Parts, user: Someone, db: Db, name: Annotated[str, Form(max_length=255)]) -> Response:
    """Start an upload of one archive or of many files."""
    work = _add(db, user, name, None, "receiving")
    folder = services.settings.data_dir / "uploads" / str(work.id)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work.path = str(folder)
    db.commit()
    return JSONResponse({"upload": work.id})


@router.put("/uploads/{number}/file", status_code=204)
async def receive(
    request: Request,
    services: Parts,
    user: Someone,
    db: Db,
    work: Work,
    path: Annotated[str, Query(max_length=_LONGEST)],
    modified: Annotated[int, Query(ge=0, le=1 << 52, description="Milliseconds since 1970.")] = 0,
) -> None:
    """Receive one file of an upload, streamed to disk."""
    await to_thread.run_sync(_check, services, db, work)
    # A name may contain a colon, but must not be taken for a Windows drive.
    inside = safe_name(path.replace(":", "-"))
    if inside is None:
        raise HTTPException(422, _("{path}: a path that leads out of its folder").format(path=path))
    target = Path(work.path, *inside.split("/"))
    # Hidden, so that no import picks up a partial file.
    partial = Path(work.path, f".{token_hex(8)}")
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        async with await open_file(partial, "wb") as file:
            async for chunk in request.stream():
                size += await file.write(chunk)
        if modified:
            os.utime(partial, (modified / 1000, modified / 1000))
        partial.replace(_unused_path(target))
    except ClientDisconnect:
        return
    except (OSError, ValueError) as error:
        raise HTTPException(422, f"{path}: {cause_of(error)}") from error
    finally:
        partial.unlink(missing_ok=True)
    await to_thread.run_sync(_count, db, work, size)


@router.post("/uploads/{number}/refused", status_code=204)
def refused(
    user: Someone,
    db: Db,
    work: Work,
    path: Annotated[str, Form(max_length=_LONGEST)],
    cause: Annotated[str, Form(max_length=_LONGEST)],
) -> None:
    """Record a file that could not be uploaded; it is listed with the files that could not be read."""
    if work.state == "receiving" and len(work.problems) < PROBLEMS_KEPT:
        work.problems = [*work.problems, {"location": storable(path), "cause": storable(cause)}]
        db.commit()


@router.post("/uploads/{number}/done")
def finish(request: Request, services: Parts, user: Someone, db: Db, work: Work) -> Response:
    """Finish an upload and queue its import."""
    if work.state == "receiving":
        work.state = "waiting"
        db.commit()
        services.wake.set()
    return page(request, "imports.html", imports=recent(db, user))


def recent(db: Session, user: User) -> list[Import]:
    """Return a user's imports, newest first; successful ones are shown for a day."""
    shown = or_(Import.state != "done", Import.at > now() - _DONE_SHOWN)
    return list(db.scalars(select(Import).where(Import.user_id == user.id, shown).order_by(Import.id.desc()).limit(10)))


def _add(db: Session, user: User, name: str, path: Path | None, state: str) -> Import:
    work = Import(
        user_id=user.id,
        name=storable(name),
        path=str(path or ""),
        uploaded=path is None,
        state=state,
        language=language(),
    )
    db.add(work)
    db.commit()
    return work


def _unused_path(path: Path) -> Path:
    """Return a path, numbered if it is taken: an upload may hold two files of the same name."""
    others = (path.with_stem(f"{path.stem} ({number})") for number in count(2))
    return next(other for other in others if not other.exists()) if path.exists() else path


def _check(services: Services, db: Session, work: Import) -> None:
    """Check that an upload may receive another file."""
    settings = services.settings
    if work.state != "receiving":
        raise HTTPException(404)
    total = db.scalar(
        select(func.sum(Import.received)).where(Import.user_id == work.user_id, Import.state == "receiving")
    )
    if work.files >= settings.upload_files or (total or 0) >= settings.upload_total:
        raise HTTPException(413, _("too much at once"))
    if shutil.disk_usage(settings.data_dir).free < 1 << 30:
        raise HTTPException(507, _("no space left"))
    db.commit()


def _count(db: Session, work: Import, size: int) -> None:
    work.files, work.received = Import.files + 1, Import.received + size
    db.commit()
