"""The front page, which recommends hashtags for photos."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, File, Form, HTTPException, Query, Request, Response, UploadFile
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hashtagger.i18n import _
from hashtagger.landmarks import map_links
from hashtagger.models.find import find_weights
from hashtagger.models.weights import read_config
from hashtagger.serving.api import as_tags
from hashtagger.serving.asking import recommend_file
from hashtagger.serving.engine import Question, compares, locates, vocabularies
from hashtagger.serving.history import forget_photo
from hashtagger.serving.pages import page
from hashtagger.serving.services import Db, Id, Parts, Services, Someone
from hashtagger.serving.store import Recommended, User, storable
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

router = APIRouter()
_LIKELY = 0.25  # hashtags from this score on are chosen at first; the others are only offered
_MOST_OFFERED = 5
_MOST_SHOWN = 60


class Shown(NamedTuple):
    """A recommendation with the values that its template needs.

    Attributes:
        entry: The history entry.
        labels: Its vocabulary.
        compared: Whether the scores of all labels are shown (heroes).
        sure: Score from which a label is shown without a note that the model is not sure.
        place: The best label, if labels are places and its score is at least ``sure``; else None.
        links: URLs of that place by name of the map service.
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
    """Show the form for photos, and the earlier recommendations that the URL names."""
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
    """Recommend tags for one photo, save them in the history and show them."""
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
    """Return the score from which a label is chosen at first, and shown without a note that the model is not sure."""
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
    # No threshold: the user decides, so unlikely tags are offered too, with their scores.
    question = Question(
        vocabulary,
        top_k=len(labels) if compares(labels) else _MOST_OFFERED,
        threshold=0.0,
        history=services.habits.of(db, user.id) if vocabulary == "hashtags_ko" else None,
    )
    path = photos.path(kept.digest, kept.suffix)
    with services.changing(user.id):
        if not path.exists():  # deleted meanwhile, with the last entry that used it
            file.file.seek(0)
            photos.keep(file.file, services.settings.photo_bytes)
        # Commit the row before the slow work below: a crash must not leave a file that no row refers to.
        db.add(entry)
        db.commit()
    owner, number = user.id, entry.id  # after a rollback, they could not be read if the rows are gone
    try:
        found = recommend_file(services, path, question)
        entry.tags = [tag.model_dump() for tag in as_tags(found)]
        sure = _sure(vocabulary)
        entry.chosen = [one.tag for one in found if one.score >= sure]
        db.commit()
    except BaseException:
        db.rollback()
        db.execute(delete(Recommended).where(Recommended.id == number))
        db.commit()
        forget_photo(db, services, owner, kept.digest, kept.suffix)
        raise
    return entry
