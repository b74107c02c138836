"""Error responses: problem details (RFC 9457) for programs, a page or a line of HTML for users."""

import errno
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException

from hashtagger.errors import HashtaggerError, ImageError
from hashtagger.i18n import _
from hashtagger.serving.pages import is_part, page
from hashtagger.serving.services import NotLoggedInError, Services, logged_in

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """Problem details of RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["photo.jpg: not a photo"])


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}}}
    for status, words in (
        (400, "Malformed request, or a host name that is not this machine's"),
        (401, "Not logged in"),
        (403, "Sent by another site"),
        (404, "Not found, or no weights for this vocabulary"),
        (413, "Too large"),
        (415, "No readable photo"),
        (422, "Invalid input"),
        (429, "Too many attempts"),
        (507, "No space left on the server's drive"),
    )
}


def refuse(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Make an error response: JSON for the API, one line of HTML for the page's scripts, otherwise a page."""
    if request.url.path.startswith("/api/"):
        problem = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail)
        return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)
    name = "error_line.html" if is_part(request) else "error.html"
    answer = page(request, name, status, detail=detail)
    answer.headers.update(headers or {})
    return answer


def install(app: FastAPI) -> None:
    """Register handlers that turn the app's errors into responses of :func:`refuse`."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        words = {404: _("there is nothing here"), 405: _("this cannot be done here")}
        plain = error.detail == HTTPStatus(error.status_code).phrase
        detail = words.get(error.status_code, error.detail) if plain else error.detail
        if not hasattr(request.state, "user"):  # no dependency has loaded the user that the page shows
            await to_thread.run_sync(_load_user, request)
        if error.status_code == 400 and _is_full(error.__cause__):  # while FastAPI parsed a large upload
            return refuse(request, 507, _("no space left"))
        return refuse(request, error.status_code, str(detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["loc"][0] == "path":
            return refuse(request, 404, _("there is nothing here"))
        detail = _("a value is missing, too long or invalid")
        if request.url.path.startswith("/api/"):
            where = ".".join(str(part) for part in first["loc"][1:])
            detail = f"{where}: {first['msg']}".removeprefix(": ")
        return refuse(request, 422, detail)

    @app.exception_handler(HashtaggerError)
    async def _ours(request: Request, error: HashtaggerError) -> Response:
        return refuse(request, 415 if isinstance(error, ImageError) else 422, str(error))

    @app.exception_handler(OSError)
    async def _disk(request: Request, error: OSError) -> Response:
        if not _is_full(error):
            raise error
        return refuse(request, 507, _("no space left"))

    @app.exception_handler(NotLoggedInError)
    async def _nobody(request: Request, error: NotLoggedInError) -> Response:
        asked = urlsplit(request.headers.get("hx-current-url", str(request.url)))
        to = f"{asked.path}?{asked.query}" if asked.query else asked.path
        login = "/login" if to == "/" else "/login?" + urlencode({"to": to})
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"HX-Redirect": login})
        if request.method not in ("GET", "HEAD") or request.url.path.startswith("/api/"):
            return refuse(request, 401, _("log in first"))
        return RedirectResponse(login, 303)

    @app.exception_handler(StaleDataError)
    async def _gone(request: Request, error: StaleDataError) -> Response:
        return refuse(request, 404, _("there is nothing here"))


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def _load_user(request: Request) -> None:
    services: Services = request.app.state.services
    if services.settings.accounts:
        with services.sessions() as db:
            request.state.user = logged_in(db, request.state.token)
