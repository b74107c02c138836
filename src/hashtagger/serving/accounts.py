"""Accounts: sign up, log in and out, change the password, delete everything."""

import shutil
import threading
import unicodedata
from contextlib import suppress
from datetime import timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hashtagger.i18n import _
from hashtagger.serving.pages import local, page, say
from hashtagger.serving.security import new_token
from hashtagger.serving.services import Db, Parts, Services, Someone, log_in_key, logged_in
from hashtagger.serving.store import Import, Leftover, LogIn, User, clear_log, now, storable

router = APIRouter()
LASTS = timedelta(days=30)
_SHORTEST, _LONGEST = 10, 200
# Each hash takes 64 MiB, so a burst of log-ins must not exhaust the machine's memory.
_hashing = threading.BoundedSemaphore(2)

Name = Annotated[str, Form(max_length=80)]
Password = Annotated[str, Form(max_length=1000)]
To = Annotated[str, Form(max_length=4000)]


@router.get("/login")
def show_log_in(request: Request, db: Db, to: str = "/") -> Response:
    """Show the log-in and sign-up forms, which lead back to the page that was requested."""
    if logged_in(db, request.state.token):
        return RedirectResponse(local(to), 303)
    return page(request, "login.html", error=None, name="", to=to)


@router.post("/login")
def log_in(request: Request, services: Parts, db: Db, name: Name, password: Password, to: To = "/") -> Response:
    """Log in under a new session."""
    name = _normalize_name(name)
    # A household or office may share one address, so it gets more tries. The address is checked first: once it is
    # over its limit, its tries no longer count against names.
    services.throttle.check(f"from {_client(request)}", times=5)
    services.throttle.check(f"name {name}")
    user = db.scalar(select(User).where(User.name == name))
    if not _verify(user.password if user else None, password) or user is None:
        return page(request, "login.html", 401, error=_("name or password is wrong"), name=name, to=to)
    services.throttle.forgive(f"name {name}")
    _start_session(request, db, user)
    return RedirectResponse(local(to), 303)


@router.post("/signup")
def sign_up(request: Request, services: Parts, db: Db, name: Name, password: Password, to: To = "/") -> Response:
    """Create an account and log in."""
    name = _normalize_name(name)
    services.throttle.check(f"new from {_client(request)}")
    error = _refusal(name, password)
    if not error:
        user = User(name=name, password=_hash(password))
        db.add(user)
        try:
            db.commit()
        except IntegrityError:
            db.rollback()
            error = _("this name is taken")
        else:
            _start_session(request, db, user)
            return RedirectResponse(local(to), 303)
    return page(request, "login.html", 422, error=error, name=name, to=to)


@router.post("/logout")
def log_out(request: Request, db: Db) -> Response:
    """End the session, in the browser and on the server."""
    db.execute(delete(LogIn).where(LogIn.key == log_in_key(request.state.token)))
    db.commit()
    request.state.token = new_token()
    return RedirectResponse("/login", 303)


@router.get("/account")
def show_account(request: Request, user: Someone) -> Response:
    """Show the account page."""
    return page(request, "account.html", error=None)


@router.post("/account/password")
def change_password(
    request: Request, services: Parts, user: Someone, db: Db, password: Password, new: Password
) -> Response:
    """Change the password and log out all other browsers."""
    _confirm(services, user, password)
    error = _refusal(user.name, new)
    if error:
        return page(request, "account.html", 422, error=error)
    user.password = _hash(new)
    db.execute(delete(LogIn).where(LogIn.user_id == user.id))
    _start_session(request, db, user)
    return say(RedirectResponse("/account", 303), _("The password is changed."))


@router.post("/account/delete")
def delete_account(request: Request, services: Parts, user: Someone, db: Db, password: Password) -> Response:
    """Delete an account with all its photos, posts and history."""
    _confirm(services, user, password)
    uploads = db.scalars(select(Import.id).where(Import.user_id == user.id, Import.uploaded))
    folders = [f"users/{user.id}", *(f"uploads/{number}" for number in uploads)]
    db.add_all(Leftover(folder=folder) for folder in folders)
    db.delete(user)
    db.commit()
    clear_log(db)
    services.habits.forget(user.id)
    for folder in folders:
        shutil.rmtree(services.settings.data_dir / folder, ignore_errors=True)
    request.state.token = new_token()
    return RedirectResponse("/login", 303)


def _confirm(services: Services, user: User, password: str) -> None:
    key = f"confirm {user.id}"
    services.throttle.check(key)
    if not _verify(user.password, password):
        raise HTTPException(403, _("the password is wrong"))
    services.throttle.forgive(key)


def _start_session(request: Request, db: Session, user: User) -> None:
    """Log in under a new session token, which prevents session fixation."""
    db.execute(delete(LogIn).where(LogIn.until < now()))
    request.state.token = new_token()
    db.add(LogIn(key=log_in_key(request.state.token), user_id=user.id, until=now() + LASTS))
    db.commit()


def _normalize_name(name: str) -> str:
    return unicodedata.normalize("NFKC", storable(name)).strip().casefold()


def _refusal(name: str, password: str) -> str | None:
    if not 2 <= len(name) <= 40 or not all(char.isalnum() or char in "._-" for char in name):
        return _("a name has 2 to 40 letters, digits, dots, dashes or underscores")
    if not _SHORTEST <= len(password) <= _LONGEST:
        return _("a password has {shortest} to {longest} characters").format(shortest=_SHORTEST, longest=_LONGEST)
    if password.casefold() == name or len(set(password)) < 4:
        return _("this password is too easy to guess")
    return None


def _client(request: Request) -> str:
    host = request.client.host if request.client else "?"
    with suppress(ValueError):
        address = ip_address(host)
        if isinstance(address, IPv6Address) and not address.ipv4_mapped:
            # A household usually has a whole /64 network.
            return str(ip_network(f"{host}/64", strict=False))
    return host


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _dummy_hash() -> str:
    return _hasher().hash(new_token())


def _hash(password: str) -> str:
    with _hashing:
        return _hasher().hash(unicodedata.normalize("NFKC", password))


def _verify(stored: str | None, password: str) -> bool:
    """Verify a password in the same time whether the name exists or not, so that timing reveals no names."""
    with _hashing:
        try:
            return _hasher().verify(stored or _dummy_hash(), unicodedata.normalize("NFKC", password)) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False
