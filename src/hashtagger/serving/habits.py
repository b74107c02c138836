"""What a person's own posts say of the next: the tags they typed or put right, not those that the model guessed."""

import threading
from collections import OrderedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hashtagger.history import History
from hashtagger.serving.store import Post, PostTag

_POSTS = 300  # older posts hardly count; each costs every recommendation a little
_USERS = 100


class Habits:
    """Each user's history, learned again when their tags have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[object, History | None]] = OrderedDict()

    def of(self, db: Session, user: int) -> History | None:
        """Learn from a user's newest posts with tags of their own; None where there are none."""
        own = (PostTag.user_id == user, PostTag.by_model.is_(False))
        # A changed tag is a new row.
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
        """Let go of what was learned of a user."""
        with self._lock:
            self._known.pop(user, None)
