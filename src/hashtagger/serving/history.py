"""The history of recommendations: photos, recommended and chosen tags, and times."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import delete as remove
from sqlalchemy import select
from sqlalchemy.orm import Session

from hashtagger.models.find import find_weights
from hashtagger.serving.heat import overlay
from hashtagger.serving.pages import page
from hashtagger.serving.photos import Size, decode
from hashtagger.serving.sending import send_file
from hashtagger.serving.services import Db, Id, Parts, Services, Someone, mine
from hashtagger.serving.store import Correction, Media, Recommended, clear_log, storable
from hashtagger.tagtext import clean
from hashtagger.vocabulary import load_vocabulary

router = APIRouter(prefix="/history")
_PAGE = 48
_MOST_CHOSEN = 30  # Instagram's earlier limit: older entries may have more tags than MOST_TAGS

Entry = Annotated[Recommended, Depends(mine(Recommended))]


@router.get("")
def show(request: Request, user: Someone, db: Db, before: Id | None = None) -> Response:
    """Show the recommendations, newest first."""
    query = select(Recommended).where(Recommended.user_id == user.id).order_by(Recommended.id.desc()).limit(_PAGE + 1)
    if before is not None:
        query = query.where(Recommended.id < before)
    entries = list(db.scalars(query))
    more = entries[_PAGE - 1].id if len(entries) > _PAGE else None
    shown = {"entries": entries[:_PAGE], "more": more, "before": before}
    if before is not None:
        return page(request, "history_entries.html", **shown)
    corrected = select(Correction).where(Correction.user_id == user.id).order_by(Correction.id.desc()).limit(_PAGE)
    return page(request, "history.html", **shown, corrections=list(db.scalars(corrected)))


@router.get("/export.json")
def export(services: Parts, user: Someone) -> Response:
    """Download the whole history as one JSON document."""
    owner = user.id

    def after(number: int) -> Sequence[Recommended]:
        query = select(Recommended).where(Recommended.user_id == owner, Recommended.id > number)
        with services.sessions() as db:
            return db.scalars(query.order_by(Recommended.id).limit(200)).all()

    def lines() -> Iterator[str]:
        comma, last = "[", 0
        while entries := after(last):
            for entry in entries:
                document = {
                    "photo": entry.name,
                    "sha256": entry.digest,
                    "at": entry.at.isoformat(),
                    "vocabulary": entry.vocabulary,
                    "tags": entry.tags,
                    "chosen": entry.chosen,
                }
                yield comma + json.dumps(document, ensure_ascii=False)
                comma, last = ",\n", entry.id
        yield "]\n" if comma != "[" else "[]\n"

    headers = {"Content-Disposition": 'attachment; filename="hashtagger-history.json"'}
    return StreamingResponse(lines(), media_type="application/json", headers=headers)


@router.get("/{number}/photo/{size}")
async def photo(request: Request, services: Parts, user: Someone, db: Db, entry: Entry, size: Size) -> Response:
    """Send a reduced copy of an entry's photo."""
    # Return the connection to the pool: sending may take long.
    db.close()
    path = await services.heavily(services.photos(user.id).smaller, entry.digest, entry.suffix, size)
    return send_file(request, path)


@router.get("/{number}/heat/{key}")
async def heat(request: Request, services: Parts, user: Someone, db: Db, entry: Entry, key: str) -> Response:
    """Send a heat map of a label, to overlay on the entry's photo."""
    db.close()
    if key not in load_vocabulary(entry.vocabulary).keys:
        raise HTTPException(404)
    photos = services.photos(user.id)
    source = photos.path(entry.digest, entry.suffix)
    path = await services.heavily(
        photos.cached,
        source,
        f"{find_weights(entry.vocabulary).stem}.{key}.png",
        lambda: overlay(services.engine.heatmap(entry.vocabulary, decode(source, shorter_side=480), key)),
    )
    return send_file(request, path)


@router.put("/{number}/chosen", status_code=204)
def choose(
    db: Db,
    entry: Entry,
    tags: Annotated[list[Annotated[str, Body(max_length=200)]], Body(max_length=_MOST_CHOSEN)],
) -> None:
    """Save the chosen tags, in order."""
    entry.chosen = list(dict.fromkeys(tag for one in tags if (tag := clean(storable(one)))))
    db.commit()


@router.post("/{number}/delete")
def delete(services: Parts, user: Someone, db: Db, entry: Entry) -> Response:
    """Delete one entry, and its photo unless something else uses it."""
    db.delete(entry)
    db.commit()
    forget_photo(db, services, user.id, entry.digest, entry.suffix)
    return Response()


@router.post("/delete")
def delete_all(services: Parts, user: Someone, db: Db) -> Response:
    """Delete all entries and the record of corrections; the corrected tags themselves stay."""
    with services.changing(user.id):
        photos = select(Recommended.digest, Recommended.suffix).where(Recommended.user_id == user.id).distinct()
        found = db.execute(photos).all()
        for table in (Recommended, Correction):
            db.execute(remove(table).where(table.user_id == user.id))
        db.commit()
    clear_log(db)
    for digest, suffix in found:
        forget_photo(db, services, user.id, digest, suffix)
    return Response(headers={"HX-Redirect": "/history"})


def forget_photo(db: Session, services: Services, user: int, digest: str, suffix: str) -> None:
    """Delete a photo's files unless the user's history or library still uses it."""
    used = select(Recommended.id).where(Recommended.user_id == user, Recommended.digest == digest)
    in_library = select(Media.id).where(Media.user_id == user, Media.digest == digest)
    with services.changing(user):
        if db.scalar(used.limit(1)) is None and db.scalar(in_library.limit(1)) is None:
            services.photos(user).forget(digest, suffix)
