"""Shared services and the dependencies that give them to endpoints."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import Annotated, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from hashtagger.serving.engine import Engine
from hashtagger.serving.habits import Habits
from hashtagger.serving.photos import Photos
from hashtagger.serving.settings import Settings
from hashtagger.serving.store import LOCAL_USER, Import, LogIn, Media, Post, Recommended, Sorting, User, now
from hashtagger.serving.throttle import Throttle

Id = Annotated[int, Field(ge=1, lt=1 << 31)]
"""A row's id, within the range of every database's integer."""

P = ParamSpec("P")
T = TypeVar("T")
Owned = TypeVar("Owned", Import, Media, Post, Recommended, Sorting)
_HEAVY = 12  # photos processed at once; the thread pool's other threads stay free for pages


class NotLoggedInError(Exception):
    """The endpoint requires a logged-in user."""


@dataclass(frozen=True)
class Services:
    """Objects that live as long as the server."""

    settings: Settings
    secret: bytes
    sessions: sessionmaker[Session]
    engine: Engine
    wake: Event = field(default_factory=Event)  # set when there is work for the background thread
    habits: Habits = field(default_factory=Habits)
    throttle: Throttle = field(default_factory=Throttle)
    heavy: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_HEAVY))
    locks: dict[int, Lock] = field(default_factory=dict)

    async def heavily(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run slow work in a thread, limited in number so that there are always threads left for pages."""
        return await to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.heavy)

    def csrf_token(self, token: str) -> str:
        """CSRF token that a session's own pages send with every change."""
        return hmac.new(self.secret, b"csrf:" + token.encode(), hashlib.sha256).hexdigest()

    def changing(self, user: int) -> Lock:
        """Return the lock that keeps a user's database rows consistent with their files on disk."""
        return self.locks.setdefault(user, Lock())

    def photos(self, user: int) -> Photos:
        """Return the file store of a user."""
        return Photos(self.settings.data_dir, user)


def get_services(request: Request) -> Services:
    """Dependency: the server's services."""
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(get_services)]


def get_session(services: Parts) -> Iterator[Session]:
    """Dependency: a database session for the request; uncommitted changes are rolled back if the endpoint fails."""
    with services.sessions() as session:
        yield session


Db = Annotated[Session, Depends(get_session)]


def get_user(request: Request, services: Parts, db: Db) -> User:
    """Dependency: the logged-in user, or the local user on a server without accounts.

    Raises:
        NotLoggedInError: Nobody is logged in.
    """
    if services.settings.accounts:
        user = logged_in(db, request.state.token)
    else:
        user = db.scalar(select(User).where(User.name == LOCAL_USER))
    # Return the connection to the pool: the request may wait long before it needs one again.
    db.commit()
    if user is None:
        raise NotLoggedInError
    request.state.user = user
    return user


Someone = Annotated[User, Depends(get_user)]


def mine(table: type[Owned]) -> Callable[[User, Session, int], Owned]:
    """Make a dependency that loads the row whose id is in the URL; 404 unless it belongs to the user."""

    def find(user: Someone, db: Db, number: Id) -> Owned:
        row = db.get(table, number)
        if row is None or row.user_id != user.id:
            raise HTTPException(404)
        return row

    return find


def logged_in(db: Session, token: str) -> User | None:
    """Return the user logged in under a session token."""
    login = db.get(LogIn, log_in_key(token))
    return db.get(User, login.user_id) if login is not None and login.until > now() else None


def log_in_key(token: str) -> str:
    """Hash a session token for storage, so that a leaked database lets nobody log in."""
    return hashlib.sha256(token.encode()).hexdigest()
