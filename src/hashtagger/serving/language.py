"""The language of a request: the one switched to, else the browser's preference, else Korean."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from hashtagger.serving.pages import local

router = APIRouter()
LANGUAGES = ("ko", "en")
COOKIE = "language"


def choose(cookie: str | None, accept: str | None) -> str:
    """Choose ``"ko"`` or ``"en"`` from the language cookie and the ``Accept-Language`` header."""
    if cookie in LANGUAGES:
        return cookie
    wanted: list[tuple[float, str]] = []
    for part in (accept or "").split(","):
        name, _semicolon, quality = "".join(part.lower().split()).partition(";q=")
        code = name.split("-")[0]
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if code in LANGUAGES and weight > 0:
            wanted.append((weight, code))
    # max() returns the first of several with the same weight.
    return max(wanted, key=lambda one: one[0])[1] if wanted else LANGUAGES[0]


@router.post("/language")
def switch(to: str, back: str = "/") -> Response:
    """Save the chosen language in a cookie."""
    response = RedirectResponse(local(back), 303)
    if to in LANGUAGES:
        response.set_cookie(COOKIE, to, max_age=31536000, httponly=True, samesite="lax")
    return response
