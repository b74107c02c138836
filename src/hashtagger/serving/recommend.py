"""The page's front door: photos in, hashtags out."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, File, Form, HTTPException, Query, Request, Response, UploadFile
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hashtagger.i18n import _
from hashtagger.landmarks import map_links
from hashtagger.models.weights import find_weights, read_config
from hashtagger.serving.api import as_tags
from hashtagger.serving.asking import recommend_file
from hashtagger.serving.engine import Question, compares, locates, vocabularies
from hashtagger.serving.history import forget_photo
from hashtagger.serving.pages import page
from hashtagger.serving.services import Db, Id, Parts, Services, Someone
from hashtagger.serving.store import Recommended, User, storable
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

router = APIRouter()
_LIKELY = 0.25  # a hashtag that is right this often is taken until its chip is toggled; the others are offered
_MOST_OFFERED = 5
_MOST_SHOWN = 60


class Shown(NamedTuple):
    """A recommendation and what its card needs to show it.

    Attributes:
        entry: What was recommended.
        labels: The vocabulary it is from.
        compared: Whether all labels are shown, with how much the photo is like each.
        sure: The score from which a label is shown without reservation.
        place: The best label, where labels are places and it is sure.
        links: Addresses of maps of that place, by the map's name.
    """

    entry: Recommended
    labels: Vocabulary
    compared: bool
    sure: float
    place: Label | None
    links: dict[str, str]


@router.get("/")
def front(
    request: Request,
    user: Someone,
    db: Db,
    entry: Annotated[list[Id], Query(max_length=_MOST_SHOWN, default_factory=list)],
    vocabulary: str = "",
) -> Response:
    """Show where to put photos, and recommendations of before."""
    found = {
        one.id: one
        for one in db.scalars(select(Recommended).where(Recommended.user_id == user.id, Recommended.id.in_(entry)))
    }
    known = vocabularies()
    names = [one.name for one in known]
    cards = [_shown(found[number]) for number in entry if number in found and found[number].vocabulary in names]
    switched = vocabulary if vocabulary in names else next(iter(names), "")
    return page(request, "recommend.html", vocabularies=known, switched=switched, cards=cards, most_shown=_MOST_SHOWN)


@router.post("/recommend")
async def recommend(
    request: Request,
    services: Parts,
    user: Someone,
    db: Db,
    file: Annotated[UploadFile, File()],
    vocabulary: Annotated[str, Form()] = "hashtags_ko",
) -> Response:
    """Recommend for one photo, remember it, and show its tags."""
    if vocabulary not in [one.name for one in vocabularies()]:
        raise HTTPException(422, _("no such vocabulary"))
    entry = await services.heavily(_recommend, services, db, user, file, vocabulary)
    return page(request, "result.html", shown=_shown(entry))


def _shown(entry: Recommended) -> Shown:
    labels, sure = load_vocabulary(entry.vocabulary), _sure(entry.vocabulary)
    found = locates(labels) and entry.tags and entry.tags[0]["score"] >= sure
    place = labels[entry.tags[0]["key"]] if found else None
    return Shown(entry, labels, compares(labels), sure, place, map_links(place) if place else {})


def _sure(vocabulary: str) -> float:
    """The score from which a label is taken by itself, and shown without reservation."""
    return _LIKELY if vocabulary == "hashtags_ko" else read_config(find_weights(vocabulary)).threshold


def _recommend(services: Services, db: Session, user: User, file: UploadFile, vocabulary: str) -> Recommended:
    photos = services.photos(user.id)
    kept = photos.keep(file.file, services.settings.photo_bytes)
    entry = Recommended(
        user_id=user.id,
        name=storable(file.filename or "")[-255:],
        digest=kept.digest,
        suffix=kept.suffix,
        vocabulary=vocabulary,
    )
    labels = load_vocabulary(vocabulary)
    # The person decides, so guesses are offered too, with their scores.
    question = Question(
        vocabulary,
        top_k=len(labels) if compares(labels) else _MOST_OFFERED,
        threshold=0.0,
        history=services.habits.of(db, user.id) if vocabulary == "hashtags_ko" else None,
    )
    path = photos.path(kept.digest, kept.suffix)
    with services.changing(user.id):
        if not path.exists():  # deleted since, with all else that showed it
            file.file.seek(0)
            photos.keep(file.file, services.settings.photo_bytes)
        # The row comes first: a file that is named nowhere would never be deleted.
        db.add(entry)
        db.commit()
    try:
        found = recommend_file(services, path, question)
    except BaseException:
        db.execute(delete(Recommended).where(Recommended.id == entry.id))
        db.commit()
        forget_photo(db, services, user.id, kept.digest, kept.suffix)
        raise
    entry.tags = [tag.model_dump() for tag in as_tags(found)]
    sure = _sure(vocabulary)
    entry.chosen = [one.tag for one in found if one.score >= sure]
    db.commit()
    return entry
