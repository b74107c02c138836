"""Importing posts into a library, each in a transaction of its own, so that a killed import can resume."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from zipfile import BadZipFile

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

from hashtagger.errors import HashtaggerError, ImageError, cause_of
from hashtagger.i18n import _
from hashtagger.normalize import default_normalizer, normalize
from hashtagger.posts import open_source
from hashtagger.posts.post import Media as SourceMedia
from hashtagger.posts.post import Post as SourcePost
from hashtagger.posts.post import Problem
from hashtagger.serving.asking import recommend_file
from hashtagger.serving.engine import Question
from hashtagger.serving.history import forget_photo
from hashtagger.serving.photos import Kept
from hashtagger.serving.services import Services
from hashtagger.serving.settings import ZONE
from hashtagger.serving.store import Correction, Import, Media, Post, PostTag, storable
from hashtagger.tagtext import extract_tags, parts

_log = logging.getLogger("hashtagger.serving")
PROBLEMS_KEPT = 500
LONGEST_TAG = 200
"""Longer tags are ignored: Instagram has none, and PostgreSQL cannot index every longer text."""
_APART = timedelta(minutes=1)
"""Most by which the time of a post differs between two sources."""
_SPACE_LEFT = 512 << 20
"""Free disk space, in bytes, below which an import stops."""


def run_import(services: Services, number: int, stopping: Callable[[], bool]) -> None:
    """Import posts; those that are already in the library are renewed if they have changed.

    Args:
        services: The server's services.
        number: The import's id.
        stopping: Called before each post; when it returns True the import is left unfinished, for the next call.
    """
    with services.sessions() as db:
        work = db.get(Import, number)
        if work is None:
            return
        work.state, work.seen = "running", 0
        db.commit()
        problems: list[Problem] = []
        try:
            source = open_source(work.path, timezone=ZONE.key)
            for post in source.posts():
                if stopping():
                    return
                _check_space(services)
                if _store(services, db, work, post, problems):
                    work.seen += 1
                db.commit()
            # The server's own causes are in the user's language; those of decoders are not.
            told = {one.location for one in problems}
            problems += [one for one in source.problems if one.location not in told]
            work.state = "done"
        except (HashtaggerError, OSError, BadZipFile) as error:
            work.state = "failed"
            problems.insert(0, Problem(work.name, cause_of(error)))
        # The list already holds the files that could not be uploaded.
        work.problems = work.problems + [
            {"location": _shown(work, one.location), "cause": _shown(work, one.cause)}
            for one in problems[:PROBLEMS_KEPT]
        ]
        db.commit()
        if work.uploaded:
            shutil.rmtree(work.path, ignore_errors=True)


def _store(services: Services, db: Session, work: Import, post: SourcePost, problems: list[Problem]) -> bool:
    """Store one post with its files, or renew the post of the library that it is a newer version of.

    Returns:
        Whether the library has the post with any of its files.
    """
    kept = _keep_all(services, db, work.user_id, post, problems)
    if not kept:
        return False
    # A guessed time is the file's modification time, which can differ between copies of the same photo.
    time = "" if post.time_is_guess else post.taken_at.isoformat()
    words = "\0".join([time, post.caption, *(file.digest for _media, file in kept)])
    key = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
    if db.scalar(select(Post.id).where(Post.user_id == work.user_id, Post.key == key)):
        return True
    new = _row(services, work.user_id, key, post, kept)
    try:
        _write(services, db, work, new, kept)
    except SQLAlchemyError:
        db.rollback()
        db.refresh(work)  # raises if the database itself is at fault, which ends the import
        _log.exception("%s", kept[0][0].location)
        problems.append(Problem(kept[0][0].location, _("the database rejects this post")))
        for _media, file in kept:
            forget_photo(db, services, work.user_id, file.digest, file.suffix)
        return False
    return True


def _write(services: Services, db: Session, work: Import, new: Post, kept: list[tuple[SourceMedia, Kept]]) -> None:
    """Add a post to the library, and count it, or renew its earlier version there.

    The database is written to only with the lock of :meth:`Services.changing` held. Otherwise this could deadlock
    with a thread that holds that lock and waits to write to the database.
    """
    photos = services.photos(work.user_id)
    with services.changing(work.user_id):
        for media, file in kept:
            # It may have been deleted meanwhile, with the last entry that used it.
            if not photos.path(file.digest, file.suffix).exists():
                _keep(services, work.user_id, media)
        post = _earlier_version(db, new)
        if post:
            _renew(db, post, new)
            _absorb_parts(db, post)
        else:
            db.add(post := new)
            work.added += 1
        moment = post.taken_at.timestamp()
        for one in post.media:
            # Files copied out of the library keep this time; some file systems cannot store every time.
            with suppress(OSError):
                os.utime(photos.path(one.digest, one.suffix), (moment, moment))
        db.commit()


def _keep_all(
    services: Services, db: Session, user: int, post: SourcePost, problems: list[Problem]
) -> list[tuple[SourceMedia, Kept]]:
    """Store a post's photos and videos; those that cannot be stored are added to ``problems``."""
    kept: list[tuple[SourceMedia, Kept]] = []
    for media in post.media:
        if media.kind == "other":
            continue
        try:
            file = _keep(services, user, media)
            if file.kind == "photo":
                _make_thumbnail(services, db, user, file)
            kept.append((media, file))
        except (ImageError, OSError, BadZipFile) as error:
            problems.append(Problem(media.location, cause_of(error)))
    return kept


def _keep(services: Services, user: int, media: SourceMedia) -> Kept:
    with media.open() as stream:
        return services.photos(user).keep(stream, services.settings.upload_bytes)


def _row(services: Services, user: int, key: str, post: SourcePost, kept: list[tuple[SourceMedia, Kept]]) -> Post:
    files = [file for _media, file in kept]
    return Post(
        user_id=user,
        key=key,
        taken_at=post.taken_at,
        month=post.taken_at.astimezone(ZONE).strftime("%Y-%m"),
        guess=post.time_is_guess,
        caption=storable(post.caption),
        permalink=post.permalink if post.permalink and post.permalink.startswith("https://") else None,
        place=post.place and storable(post.place),
        media=[
            Media(
                user_id=user,
                position=position,
                kind=file.kind,
                name=storable(media.name),
                digest=file.digest,
                suffix=file.suffix,
            )
            for position, (media, file) in enumerate(kept)
        ],
        tags=tag_rows(user, post.tags) or _by_model(services, user, files),
    )


def _earlier_version(db: Session, new: Post) -> Post | None:
    """Find the post of the library that a new one was before it was edited or more of its files were found.

    They share a file and have the same time. If one of them has all of the other's files, about the same time is
    enough, and a guessed time matches any, as in ``organize``.
    """
    digests = _digests(new)
    for post in _posts_that_share(db, new):
        known = _digests(post)
        if post.taken_at == new.taken_at or digests <= known or known <= digests:
            return post
    return None


def _posts_that_share(db: Session, post: Post) -> Sequence[Post]:
    """Return the posts of the library that share a file with a post, and may be of the same time."""
    sharing = select(Media.post_id).where(Media.user_id == post.user_id, Media.digest.in_(_digests(post)))
    query = select(Post).where(Post.id.in_(sharing))
    if not post.guess:
        query = query.where(or_(Post.guess, Post.taken_at.between(post.taken_at - _APART, post.taken_at + _APART)))
    query = query.options(selectinload(Post.media), selectinload(Post.tags)).execution_options(populate_existing=True)
    return db.scalars(query.order_by(Post.guess, Post.id)).all()


def _digests(post: Post) -> set[str]:
    return {media.digest for media in post.media}


def _renew(db: Session, post: Post, new: Post) -> None:
    """Give a post the words of its newer version, and what it lacked; no file is taken from it."""
    post.key = new.key
    if new.caption:
        post.tags = _renewed_tags(db, post, new)
        post.caption = new.caption
    if post.guess and not new.guess:
        post.taken_at, post.month, post.guess = new.taken_at, new.month, False
    post.permalink, post.place = post.permalink or new.permalink, post.place or new.place
    known = {media.digest for media in post.media}
    added = [media for media in new.media if media.digest not in known]
    if added:
        order = {media.digest: media.position for media in new.media}
        post.media = sorted([*post.media, *added], key=lambda media: order.get(media.digest, len(new.media)))
        for position, media in enumerate(post.media):
            media.position = position


def _absorb_parts(db: Session, post: Post) -> None:
    """Merge into a post the others that are parts of it, such as photos saved from it that were imported one by one.

    Their tags, unless only the model gave them, and the user's corrections become those of the post.
    """
    for part in _posts_that_share(db, post):
        if part is post or not _digests(part) <= _digests(post) or (post.guess and not part.guess):
            continue
        present = {row.tag for row in post.tags}
        for row in part.tags:
            if not row.by_model and row.tag not in present:
                position = len(post.tags)
                post.tags.append(PostTag(user_id=post.user_id, position=position, typed=row.typed, tag=row.tag))
        db.execute(update(Correction).where(Correction.post_id == part.id).values(post_id=post.id))
        db.execute(delete(Post).where(Post.id == part.id))


def _renewed_tags(db: Session, post: Post, new: Post) -> list[PostTag]:
    """Change a post's tags as its caption was edited; tags that the user added or removed here stay so."""
    typed = list(parts(extract_tags(post.caption)))
    before, after = tag_rows(post.user_id, typed), {row.tag: row for row in new.tags if not row.by_model}
    wanted: dict[str, bool] = {}  # by the last correction of each tag
    for one in db.scalars(select(Correction).where(Correction.post_id == post.id).order_by(Correction.id)):
        wanted |= {tag: tag in one.after for tag in {*one.before} ^ {*one.after}}
    # Typed words are compared, too, because an earlier version may have taken them for other tags.
    of_caption = {row.tag for row in before} | {row.tag for row in post.tags if row.typed in typed}
    kept = [row for row in post.tags if row.tag in after or row.tag not in of_caption or wanted.get(row.tag)]
    if after:
        kept = [row for row in kept if not row.by_model]
    present = {row.typed for row in post.tags}
    removed = {row.tag for row in before if row.typed not in present} | {tag for tag in wanted if not wanted[tag]}
    unwanted = removed | {row.tag for row in kept}
    rows = [*kept, *(row for tag, row in after.items() if tag not in unwanted)]
    for position, row in enumerate(rows):
        row.position = position
    return rows


def _make_thumbnail(services: Services, db: Session, user: int, file: Kept) -> None:
    """Make a photo's thumbnail for the library; a photo that cannot be decoded is deleted again.

    Raises:
        ImageError: The photo cannot be decoded.
    """
    try:
        services.photos(user).smaller(file.digest, file.suffix, "thumb")
    except ImageError:
        forget_photo(db, services, user, file.digest, file.suffix)
        raise


def tag_rows(user: int, tags: "tuple[str, ...] | list[str]", *, by_model: bool = False) -> list[PostTag]:
    """Make the rows for typed tags: one for each distinct tag that they mean."""
    rows: dict[str, PostTag] = {}
    for typed in dict.fromkeys(parts(map(storable, tags))):
        for tag in meanings(typed) if len(typed) <= LONGEST_TAG else ():
            rows.setdefault(tag, PostTag(user_id=user, position=len(rows), typed=typed, tag=tag, by_model=by_model))
    return list(rows.values())


def meanings(typed: str) -> list[str]:
    """Return the canonical tags that a tag means, or the cleaned tag itself if it is unknown."""
    found = normalize(typed)
    if not found.canonical:
        return [found.tag] if found.tag else []
    return [default_normalizer().vocabulary[key].tag for key in found.canonical]


def _by_model(services: Services, user: int, kept: list[Kept]) -> list[PostTag]:
    """Return the best tag of a post's first photo if the model is sure of it."""
    photo = next((file for file in kept if file.kind == "photo"), None)
    if photo is None:
        return []
    with suppress(HashtaggerError):
        path = services.photos(user).path(photo.digest, photo.suffix)
        best = recommend_file(services, path, Question("hashtags_ko", top_k=1))
        return tag_rows(user, [one.tag for one in best], by_model=True)
    return []


def _check_space(services: Services) -> None:
    if shutil.disk_usage(services.settings.data_dir).free < _SPACE_LEFT:
        raise HashtaggerError(_("no space left"))


def _shown(work: Import, text: str) -> str:
    """Remove the server's own folder from a message about uploaded files."""
    return text.replace(f"{work.path}/", "").replace(work.path, work.name) if work.uploaded else text
