"""The application factory."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles

from hashtagger.serving import accounts, api, history, language, library, problems, recommend, sorting, uploads
from hashtagger.serving.engine import Engine
from hashtagger.serving.security import Gate, check_csrf
from hashtagger.serving.services import Services
from hashtagger.serving.settings import Settings
from hashtagger.serving.store import open_database, secret
from hashtagger.serving.work import Worker


class _Static(StaticFiles):
    """Static files, cached for a year: their URLs contain a hash of their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def create_app(settings: Settings) -> FastAPI:
    """Create the app.

    Args:
        settings: The server's settings; a missing data folder is created.

    Raises:
        HashtaggerError: The database cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = FastAPI(
        title="hashtagger",
        summary="Korean hashtags for photos.",
        version=version("hashtagger"),
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.services = Services(settings, secret(settings), open_database(settings), Engine())
    problems.install(app)
    app.add_middleware(Gate, settings=settings)
    app.mount("/static", _Static(directory=Path(__file__).parent / "static"))
    app.include_router(api.router)
    modules = [recommend, uploads, sorting, library, history, language]
    for module in [*modules, accounts] if settings.accounts else modules:
        _answer_head(module.router)
        app.include_router(module.router, dependencies=[Depends(check_csrf)], include_in_schema=False)
    return app


def _answer_head(router: APIRouter) -> None:
    """Make GET endpoints answer HEAD, too, which FastAPI does not; the server leaves the body out."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.methods == {"GET"}:
            route.methods = {"GET", "HEAD"}


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the background threads for as long as the app runs."""
    services: Services = app.state.services
    # Load the network while the user looks at the first page; an error is reported when a photo is submitted.
    threading.Thread(target=services.engine.warm_up, daemon=True).start()
    worker = Worker(services)
    worker.start()
    yield
    worker.stop()
    services.engine.close()
