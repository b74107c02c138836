"""Templates, rendered in the language of the request."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hashtagger import i18n
from hashtagger.serving.settings import MOST_TAGS

_HERE = Path(__file__).parent


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
    """Render a template; it knows the request, the CSRF token and who is logged in besides ``values``."""
    from hashtagger.serving.security import csrf_token

    services = request.app.state.services
    known = {
        "request": request,
        "status": status,
        "csrf": csrf_token(services.secret, request.state.token),
        "settings": services.settings,
        "user": getattr(request.state, "user", None),
    }
    return HTMLResponse(_environment().get_template(template).render(known | values), status)


@cache
def _asset(name: str) -> str:
    """Address of a static file that changes with its content, so that browsers may keep it."""
    digest = hashlib.sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def _moment(time: datetime, zone: str) -> str:
    return time.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def _hashtags(tags: Sequence[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)


def _keys_by_tag(tags: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {one["tag"]: one["key"] for one in tags}
