"""Personal histories of users, learned from tags that they typed or corrected, not from tags of the model."""

import threading
from collections import OrderedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hashtagger.history import History
from hashtagger.serving.store import Post, PostTag

_POSTS = 300  # older posts hardly count, and each one slows down every recommendation a little
_USERS = 100


class Habits:
    """A cache of each user's history, which is learned again when their tags have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[object, History | None]] = OrderedDict()

    def of(self, db: Session, user: int) -> History | None:
        """Return the history learned from a user's newest posts with tags of their own, or None without such posts."""
        own = (PostTag.user_id == user, PostTag.by_model.is_(False))
        # A change of tags adds or removes rows here, so their count and highest id show whether anything changed.
        state = tuple(db.execute(select(func.count(), func.max(PostTag.id)).where(*own)).one())
        with self._lock:
            if user in self._known and self._known[user][0] == state:
                self._known.move_to_end(user)
                return self._known[user][1]
        posts: dict[int, list[str]] = {}
        newest = select(Post.id).where(Post.user_id == user, Post.tags.any(PostTag.by_model.is_(False)))
        newest = newest.order_by(Post.taken_at.desc(), Post.id.desc()).limit(_POSTS)
        typed = select(PostTag.post_id, PostTag.typed).join(Post).where(*own, Post.id.in_(newest))
        for post, tag in db.execute(typed.order_by(Post.taken_at, Post.id, PostTag.position)):
            posts.setdefault(post, []).append(tag)
        history = History(list(dict.fromkeys(tags)) for tags in posts.values()) if posts else None
        with self._lock:
            self._known[user] = (state, history)
            if len(self._known) > _USERS:
                self._known.popitem(last=False)
        return history

    def forget(self, user: int) -> None:
        """Drop a user's history from the cache."""
        with self._lock:
            self._known.pop(user, None)
