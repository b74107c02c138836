"""What the endpoints work with, made once at the server's start."""

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
"""A row's number, as every database takes it."""

P = ParamSpec("P")
T = TypeVar("T")
Owned = TypeVar("Owned", Import, Media, Post, Recommended, Sorting)
_HEAVY = 12  # photos under way at once; the other threads stay free for pages


class NotLoggedInError(Exception):
    """Nobody is logged in where somebody must be."""


@dataclass(frozen=True)
class Services:
    """The server's parts."""

    settings: Settings
    secret: bytes
    sessions: sessionmaker[Session]
    engine: Engine
    wake: Event = field(default_factory=Event)  # set when there is work for the background
    habits: Habits = field(default_factory=Habits)
    throttle: Throttle = field(default_factory=Throttle)
    heavy: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_HEAVY))
    locks: dict[int, Lock] = field(default_factory=dict)

    async def heavily(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes long in a thread, only so much at once, so that pages are never kept waiting."""
        return await to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.heavy)

    def csrf_token(self, token: str) -> str:
        """The token that a session's own pages send back with every change."""
        return hmac.new(self.secret, b"csrf:" + token.encode(), hashlib.sha256).hexdigest()

    def changing(self, user: int) -> Lock:
        """The lock on a user's rows and the files that they name, where two changes at once would go wrong."""
        return self.locks.setdefault(user, Lock())

    def photos(self, user: int) -> Photos:
        """The files of a user."""
        return Photos(self.settings.data_dir, user)


def get_services(request: Request) -> Services:
    """The server's parts, for an endpoint."""
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(get_services)]


def get_session(services: Parts) -> Iterator[Session]:
    """One session a request; what it has not committed when the endpoint fails is rolled back."""
    with services.sessions() as session:
        yield session


Db = Annotated[Session, Depends(get_session)]


def get_user(request: Request, services: Parts, db: Db) -> User:
    """Who asks: who is logged in, or the local user where there are no accounts.

    Raises:
        NotLoggedInError: Nobody is.
    """
    if services.settings.accounts:
        user = logged_in(db, request.state.token)
    else:
        user = db.scalar(select(User).where(User.name == LOCAL_USER))
    # The connection goes back: a request may wait long before it needs one again.
    db.commit()
    if user is None:
        raise NotLoggedInError
    request.state.user = user
    return user


Someone = Annotated[User, Depends(get_user)]


def mine(table: type[Owned]) -> Callable[[User, Session, int], Owned]:
    """Make the dependency that gives the row whose number is in the address: 404 unless it is the user's own."""

    def find(user: Someone, db: Db, number: Id) -> Owned:
        row = db.get(table, number)
        if row is None or row.user_id != user.id:
            raise HTTPException(404)
        return row

    return find


def logged_in(db: Session, token: str) -> User | None:
    """Who is logged in under a session token."""
    login = db.get(LogIn, log_in_key(token))
    return db.get(User, login.user_id) if login is not None and login.until > now() else None


def log_in_key(token: str) -> str:
    """What the database keeps of a session token: a copy of it lets nobody in."""
    return hashlib.sha256(token.encode()).hexdigest()
