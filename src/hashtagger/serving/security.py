"""Checks on every request (origin, size, session, CSRF token) and the security headers of every response."""

import hmac
import logging
import re
import secrets
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hashtagger.i18n import _, speaking
from hashtagger.serving import language
from hashtagger.serving.problems import refuse
from hashtagger.serving.services import logged_in
from hashtagger.serving.settings import Settings, is_loopback

COOKIE = "hashtagger"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_BYTES = 2 << 20
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{images}; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with it, browsers send "Origin: null" with forms, even to their own site.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), interest-cohort=()",
}


class Gate:
    """The outermost ASGI middleware.

    It refuses requests from other sites and bodies that are too large, and large bodies of users who are not logged
    in before reading them. It gives every browser a session token (``request.state.token``, which an endpoint may
    replace), sets the language, adds the security headers, and responds with an error page if the app fails.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        # Leaflet replaces tiles that it no longer needs by an empty image in a data: URL.
        images = f" data: {settings.tiles_host}" if settings.tiles else ""
        self._headers = {"Content-Security-Policy": _POLICY.format(images=images), **_HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies = cookie_parser(headers.get("cookie", ""))
        sent = cookies.get(COOKIE, "")
        scope.setdefault("state", {})["token"] = sent if _TOKEN.fullmatch(sent) else new_token()
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(scope, MutableHeaders(scope=message), sent)
            await send(message)

        with speaking(language.choose(cookies.get(language.COOKIE), headers.get("accept-language"))):
            limit = body_limit(scope["path"], self._settings)
            try:
                refusal = await self._refusal(scope, headers, limit)
                if refusal is None:
                    await self._app(scope, _bounded(receive, limit), send_on)
            except ClientDisconnect:
                return
            except Exception:
                if started:
                    raise
                logging.getLogger("hashtagger.serving").exception("%s", scope["path"])
                refusal = 500, _("internal error; see the server's output")
            if refusal:
                await refuse(Request(scope), *refusal)(scope, receive, send_on)

    def _add_headers(self, scope: Scope, answer: MutableHeaders, sent: str) -> None:
        """Add the security headers, and the session cookie if the browser does not have it yet."""
        for name, value in self._headers.items():
            answer.setdefault(name, value)
        if not scope["path"].startswith("/static/"):
            answer.setdefault("Cache-Control", "no-store")
        token = scope["state"]["token"]
        if token != sent and not scope["path"].startswith(("/api/", "/static/")):
            secure = "; Secure" if scope["scheme"] == "https" else ""
            answer.append("Set-Cookie", f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000{secure}")

    async def _refusal(self, scope: Scope, headers: Headers, limit: int) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            name, sender = urlsplit(f"//{host}").hostname or "", urlsplit(origin or "").netloc
        except ValueError:  # such as an unclosed bracket
            return 400, _("this is not an address")
        if not self._settings.accounts and not is_loopback(name):
            # DNS rebinding: a site whose name resolves to this machine could otherwise read the local user's photos.
            return 400, _("this page is served to this machine only")
        if b"%00" in scope["query_string"]:
            return 400, _("this is not an address")
        if scope["method"] not in _SAFE:
            site = headers.get("sec-fetch-site")
            if site in ("cross-site", "same-site") or (origin is not None and sender != host):
                return 403, _("this request comes from another site")
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > limit:
            return 413, _("too much at once")
        if self._settings.accounts and limit > _FORM_BYTES and not await to_thread.run_sync(_is_logged_in, scope):
            return 401, _("log in first")
        return None


def _is_logged_in(scope: Scope) -> bool:
    with scope["app"].state.services.sessions() as db:
        return logged_in(db, scope["state"]["token"]) is not None


def body_limit(path: str, settings: Settings) -> int:
    """Return the maximum size in bytes of a request body for a path."""
    if path == "/api/recommend":
        return settings.photo_bytes * 8
    if path == "/recommend":
        return settings.photo_bytes + _FORM_BYTES
    if path.startswith("/library/uploads/"):
        return settings.upload_bytes
    return _FORM_BYTES


def _bounded(receive: Receive, limit: int) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _("too much at once"))
        return message

    return bounded


def new_token() -> str:
    """Make an unguessable session token."""
    return secrets.token_urlsafe(32)


async def check_csrf(request: Request) -> None:
    """Dependency: require the session's CSRF token, in a header or a form field, for requests that change something.

    Raises:
        HTTPException: 403 if the token is missing or wrong.
    """
    if request.method in _SAFE:
        return
    given = request.headers.get("x-csrf-token", "")
    if not given and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        given = str((await request.form()).get("csrf", ""))
    expected = request.app.state.services.csrf_token(request.state.token)
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(403, _("this page is out of date; load it again"))
