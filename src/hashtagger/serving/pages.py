"""Templates, rendered in the language of the request."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hashtagger import i18n
from hashtagger.serving.settings import MOST_TAGS, ZONE

_HERE = Path(__file__).parent
_FLASH_COOKIE = "said"

Answer = TypeVar("Answer", bound=Response)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"_": i18n._, "language": i18n.language, "asset": _asset, "MOST_TAGS": MOST_TAGS}
    environment.filters |= {"moment": _moment, "hashtags": _hashtags, "keys_by_tag": _keys_by_tag}
    return environment


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """Render a template with ``values``, the request, the CSRF token, the settings and the user."""
    services = request.app.state.services
    known = {
        "request": request,
        "status": status,
        "csrf": services.csrf_token(request.state.token),
        "settings": services.settings,
        "user": getattr(request.state, "user", None),
        "said": "" if is_part(request) else unquote(request.cookies.get(_FLASH_COOKIE, "")),
    }
    answer = HTMLResponse(_environment().get_template(template).render(known | values), status)
    if known["said"]:
        answer.delete_cookie(_FLASH_COOKIE)
    return answer


def is_part(request: Request) -> bool:
    """Return whether the request comes from one of the page's scripts, which needs only a fragment of a page."""
    return "x-csrf-token" in request.headers or "hx-request" in request.headers


def local(address: str) -> str:
    """Return a redirect target sent by a browser if it is on this server, else the front page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


def say(answer: Answer, text: str) -> Answer:
    """Show a message on the next page, once (a flash message)."""
    answer.set_cookie(_FLASH_COOKIE, quote(text), max_age=60, httponly=True, samesite="lax")
    return answer


@cache
def _asset(name: str) -> str:
    """URL of a static file with a hash of its content, so that browsers may cache it forever."""
    digest = hashlib.sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def _moment(time: datetime) -> str:
    return time.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")


def _hashtags(tags: Sequence[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)


def _keys_by_tag(tags: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {one["tag"]: one["key"] for one in tags}
