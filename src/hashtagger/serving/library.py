"""The library: browse posts by month and tag, search by date or by tags in any spelling, and correct tags."""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import ColumnElement, Select, and_, delete, desc, distinct, false, func, or_, select, tuple_
from sqlalchemy.orm import Session, selectinload

from hashtagger.i18n import _
from hashtagger.serving.history import forget_photo
from hashtagger.serving.importing import LONGEST_TAG, meanings, tag_rows
from hashtagger.serving.pages import page, say
from hashtagger.serving.photos import Size
from hashtagger.serving.sending import send_file
from hashtagger.serving.services import Db, Id, Parts, Someone, mine
from hashtagger.serving.settings import ZONE
from hashtagger.serving.sorting import forget_zips
from hashtagger.serving.store import Correction, Media, Post, PostTag, User, now, storable
from hashtagger.serving.uploads import recent
from hashtagger.tagtext import clean, extract_tags

router = APIRouter(prefix="/library")
_PAGE = 60
_FREQUENT = 2  # tags of fewer posts are listed under "Others", as in sorted folders
_TAGS_SHOWN = 200
_FIRST_YEAR = 1970  # of a search for a day in any year; clocks of cameras and phones start no earlier
# A year with an optional month and day (2021-04-05, 2021. 4. 5., 2021년 4월 5일), or a month or day of any year.
_DATE = re.compile(
    r"(?P<year>(?:19|20)\d\d)(?:(?:년|[-./])\s*(?P<month>\d\d?)(?:(?:월|[-./])\s*(?P<day>\d\d?)[일.]?|[월.])?|년)?"
    r"|(?P<any_month>\d\d?)월(?:\s*(?P<any_day>\d\d?)일)?"
)
_WORD = re.compile(rf"(?:{_DATE.pattern})(?![^\s,#＃])|[^\s,#＃]+")
_VIDEO = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "avi": "video/x-msvideo"}


@dataclass(frozen=True)
class View:
    """A selection of posts, by month or year, tag, lack of a frequent tag, or search, and how many of them to show."""

    month: Annotated[str, Query(pattern=r"^(\d{4}(-\d\d)?)?$")] = ""
    tag: Annotated[str, Query(max_length=LONGEST_TAG)] = ""
    other: bool = False
    q: Annotated[str, Query(max_length=200)] = ""
    shown: Annotated[int, Query(ge=_PAGE, le=1 << 30)] = _PAGE

    @property
    def words(self) -> list[str]:
        """The words and dates searched for, without ``#``."""
        # Compatibility jamo stay as they are, as in tags.
        plain = re.sub("[^ㄱ-ㆎ]+", lambda run: unicodedata.normalize("NFKC", run[0]), self.q)
        return [word[0] for word in _WORD.finditer(plain) if clean(word[0])]

    def url(self, path: str = "/library", **more: object) -> str:
        """Return the URL of this view, or of a page below it that keeps the selection."""
        values = {"month": self.month, "tag": self.tag, "other": "1" if self.other else "", "q": self.q.strip(), **more}
        values |= {"shown": self.shown} if self.shown > _PAGE else {}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{path}?{query}" if query else path


Viewed = Annotated[View, Depends(View)]


@router.get("")
def browse(
    request: Request,
    user: Someone,
    db: Db,
    view: Viewed,
    start: Annotated[int, Query(ge=0, le=1 << 30)] = 0,
) -> Response:
    """Show the view's posts, newest first; with ``start``, only the posts from there on, for "Show more"."""
    query = _narrow(select(Post).where(Post.user_id == user.id), user, view)
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    newest = query.order_by(Post.taken_at.desc(), Post.id.desc()).offset(start).limit(max(0, view.shown - start))
    posts = list(db.scalars(newest.options(selectinload(Post.media), selectinload(Post.tags))))
    more = replace(view, shown=view.shown + _PAGE) if view.shown < total else None
    if start:
        return page(request, "library_posts.html", posts=posts, more=more, view=view, start=start)
    tags, others = _tags(db, user)
    return page(
        request, "library.html", posts=posts, more=more, view=view, start=start, meant=_meant(view), total=total,
        months=_months(db, user), tags=tags, others=others, imports=recent(db, user),
    )  # fmt: skip


@router.get("/posts/{number}")
def show(request: Request, user: Someone, db: Db, view: Viewed, post: Annotated[Post, Depends(mine(Post))]) -> Response:
    """Show one post, with links to its neighbours in the view it was opened from."""
    others = _narrow(select(Post.id).where(Post.user_id == user.id), user, view)
    place, here = tuple_(Post.taken_at, Post.id), (post.taken_at, post.id)
    newer = db.scalar(others.where(place > here).order_by(Post.taken_at, Post.id).limit(1))
    older = db.scalar(others.where(place < here).order_by(Post.taken_at.desc(), Post.id.desc()).limit(1))
    return page(request, "post.html", post=post, newer=newer, older=older, view=view)


@router.get("/media/{number}/{size}")
async def media(
    request: Request, services: Parts, user: Someone, db: Db, found: Annotated[Media, Depends(mine(Media))], size: Size
) -> Response:
    """Send a reduced copy of a photo, or a video as it is."""
    # Return the connection to the pool: sending may take long.
    db.close()
    photos = services.photos(user.id)
    if found.kind == "video":
        path = photos.path(found.digest, found.suffix)
        return send_file(request, path, _VIDEO.get(found.suffix, "application/octet-stream"))
    return send_file(request, await services.heavily(photos.smaller, found.digest, found.suffix, size))


@router.post("/correct")
def correct(
    services: Parts,
    user: Someone,
    db: Db,
    posts: Annotated[list[Id], Form(max_length=1000)],
    add: Annotated[str, Form(max_length=2000)] = "",
    remove: Annotated[str, Form(max_length=2000)] = "",
    back: Annotated[str, Form(max_length=4000)] = "/library",
) -> Response:
    """Add and remove tags of posts, and record the correction."""
    adding, removing = _words(add), {tag for word in _words(remove) for tag in meanings(word)}
    query = select(Post).where(Post.user_id == user.id, Post.id.in_(posts)).options(selectinload(Post.tags))
    changed = 0
    with services.changing(user.id):
        for post in db.scalars(query).all():
            kept = {row.tag: row for row in post.tags if row.tag not in removing}
            new = [row for row in tag_rows(user.id, adding) if row.tag not in kept]
            rows = [*kept.values(), *new]
            before, after = [row.tag for row in post.tags], [row.tag for row in rows]
            if before == after:
                continue
            gone = {row.typed for row in post.tags if row.tag in removing}
            for position, row in enumerate(rows):
                # Once the user has reviewed a post, its tags count as the user's.
                row.position, row.by_model = position, False
                # If a typed word meant several tags and one is removed, the others count as typed themselves.
                row.typed = row.tag if row.typed in gone else row.typed
            post.tags = rows
            db.add(Correction(user_id=user.id, post_id=post.id, before=before, after=after))
            changed += 1
        db.commit()
    done = _("Posts with corrected tags: {n}").format(n=changed) if changed else _("No tag has changed.")
    return say(RedirectResponse(_way_back(back), 303), done)


@router.post("/remove")
def remove(
    services: Parts,
    user: Someone,
    db: Db,
    posts: Annotated[list[Id], Form(max_length=1000)],
    back: Annotated[str, Form(max_length=4000)] = "/library",
) -> Response:
    """Remove posts and the library's copies of their files; the user's original files are not touched."""
    chosen = (Post.user_id == user.id, Post.id.in_(posts))
    with services.changing(user.id):
        files = db.execute(select(Media.digest, Media.suffix).join(Post).where(*chosen).distinct()).all()
        removed = db.scalar(select(func.count(Post.id)).where(*chosen))
        db.execute(delete(Post).where(*chosen))
        if removed:
            forget_zips(services, db, user)
        db.commit()
    for digest, suffix in files:
        forget_photo(db, services, user.id, digest, suffix)
    answer = Response(status_code=204, headers={"HX-Redirect": _way_back(back)})
    return say(answer, _("Posts taken out of the library: {n}").format(n=removed))


def _way_back(back: str) -> str:
    return quote(back, safe="/?&=%+") if back.startswith("/library") else "/library"


def _words(text: str) -> list[str]:
    """Split typed tags, with or without ``#``, at spaces and commas; words that cannot be tags are dropped."""
    tags = map(clean, re.split(r"[\s,#＃]+", storable(text)))
    return list(dict.fromkeys(tag for tag in tags if tag.isdecimal() or extract_tags(f"#{tag}")))[:30]


def _narrow(query: Select[Any], user: User, view: View) -> Select[Any]:
    if view.month:
        query = query.where(Post.month.startswith(view.month))
    if view.tag:
        query = query.where(_tagged(PostTag.tag == view.tag))
    if view.other:
        frequent = _frequent(user).subquery()
        query = query.where(~_tagged(PostTag.tag.in_(select(frequent.c.tag))))
    if view.q.strip():
        # Every word must match; a search without any word, such as "!", finds nothing.
        query = query.where(*map(_matches, view.words)) if view.words else query.where(false())
    return query


def _tagged(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(PostTag.id).where(PostTag.post_id == Post.id, condition).exists()


def _matches(word: str) -> ColumnElement[bool]:
    """Condition: a post has a tag that the word means or is a prefix of, or dates from the period it names."""
    tag = clean(word)
    begun = (column.startswith(tag, autoescape=True) for column in (PostTag.tag, PostTag.typed))
    tagged = _tagged(or_(PostTag.tag.in_(meanings(tag)), *begun))
    date = _DATE.fullmatch(word)
    return tagged if date is None else or_(tagged, _in_period(date))


def _in_period(date: re.Match[str]) -> ColumnElement[bool]:
    """Condition: a post dates from the days or months that a date names."""
    year, month, day = date["year"], date["month"] or date["any_month"], date["day"] or date["any_day"]
    months = Post.month.like(f"{year or '____'}-{month or '__':0>2}")
    if not day:
        return months
    years = [int(year)] if year else range(_FIRST_YEAR, now().year + 1)
    return and_(months, or_(false(), *(_on_day(one, int(month), int(day)) for one in years)))


def _on_day(year: int, month: int, day: int) -> ColumnElement[bool]:
    """Condition: a post dates from a day, in Seoul's time zone."""
    try:
        begin = datetime(year, month, day, tzinfo=ZONE)
    except ValueError:  # a 30th of February
        return false()
    return and_(Post.taken_at >= begin, Post.taken_at < begin + timedelta(days=1))


def _meant(view: View) -> list[str]:
    """Return the tags that a search was understood as; none if they are the words as typed."""
    words = [clean(word) for word in view.words if not _DATE.fullmatch(word)]
    tags = [tag for word in words for tag in meanings(word)]
    return tags if tags != words else []


def _frequent(user: User) -> Any:
    """Query the tags of at least ``_FREQUENT`` posts, with their numbers of posts."""
    posts = func.count(distinct(PostTag.post_id)).label("posts")
    counted = select(PostTag.tag, posts).where(PostTag.user_id == user.id).group_by(PostTag.tag)
    return counted.having(posts >= _FREQUENT)


def _tags(db: Session, user: User) -> tuple[list[tuple[str, int]], int]:
    """Return the frequent tags with their counts, most frequent first, and the number of posts without any."""
    query = _frequent(user).order_by(desc("posts"), PostTag.tag).limit(_TAGS_SHOWN)
    others = _narrow(select(Post).where(Post.user_id == user.id), user, View(other=True))
    number = db.scalar(select(func.count()).select_from(others.subquery()))
    return [(row.tag, row.posts) for row in db.execute(query)], number or 0


def _months(db: Session, user: User) -> dict[str, list[tuple[str, int]]]:
    """Return the months that have posts, with their counts, by year, newest first."""
    query = select(Post.month, func.count()).where(Post.user_id == user.id).group_by(Post.month)
    years: dict[str, list[tuple[str, int]]] = {}
    for month, count in db.execute(query.order_by(Post.month.desc())):
        years.setdefault(month[:4], []).append((month, count))
    return years
