"""A server of its own for each test that asks for one, a real browser, and real photos."""

import asyncio
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs hashtagger[web]")

import httpx
import uvicorn

from hashtagger.serving.app import create_app
from hashtagger.serving.settings import Settings


class Site:
    """A running server, and a client that behaves like a browser without scripts."""

    def __init__(self, settings: Settings, url: str, app) -> None:
        self.settings, self.url, self.app = settings, url, app

    def client(self, language: str = "en") -> "Client":
        return Client(base_url=self.url, headers={"Accept-Language": language}, timeout=240)


class Client(httpx.Client):
    """Sends a session's CSRF token with every change, as the pages do."""

    @property
    def csrf(self) -> str:
        return re.search(r'<meta name="csrf" content="(\w+)"', self.get("/").text)[1]

    def send_form(self, path: str, **fields):
        return self.post(path, data={"csrf": self.csrf, **fields})

    def ask(self, photo: Path, vocabulary: str = "hashtags_ko"):
        return self.post(
            "/recommend",
            headers={"X-CSRF-Token": self.csrf},
            data={"vocabulary": vocabulary},
            files={"file": (photo.name, photo.read_bytes())},
        )


@contextmanager
def running(settings: Settings) -> Iterator[Site]:
    app = create_app(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=asyncio.run, args=[server.serve(sockets=[listener])])
        thread.start()
        try:
            yield Site(settings, f"http://127.0.0.1:{listener.getsockname()[1]}", app)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**changes) -> Settings:
        folder = tmp_path / "data"
        return Settings(**{"data_dir": folder, "database_url": f"sqlite:///{folder}/db.sqlite"} | changes)

    return make


@pytest.fixture
def site(make_settings) -> Iterator[Site]:
    with running(make_settings()) as found:
        yield found


@pytest.fixture
def client(site) -> Iterator[Client]:
    with site.client() as found:
        yield found


@pytest.fixture(scope="session")
def chromium():
    """The Chromium of the system, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium, site):
    """Open a page of the site; a script error, a refused script or a foreign request fails the test."""
    contexts, wrong = [], []

    def open_page(path: str = "/", *, locale: str = "en-US", width: int = 1440, on: Site | None = None, **options):
        base = (on or site).url
        context = chromium.new_context(
            base_url=base,
            locale=locale,
            viewport={"width": width, "height": 900},
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Security Policy" in line.text else None)
        page.on("request", lambda asked: None if asked.url.startswith((base, "blob:")) else wrong.append(asked.url))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
