"""Fixtures: a separate server for each test, a real browser, and real photos."""

import asyncio
import io
import itertools
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import httpx
import pytest
import sqlalchemy
import uvicorn
from argon2 import PasswordHasher
from PIL import Image

from hashtagger.models.find import find_weights
from hashtagger.recommend import Recommender
from hashtagger.serving import recommend
from hashtagger.serving.app import create_app
from hashtagger.serving.settings import Settings
from hashtagger.serving.store import open_database


class Site:
    """A running server, and a client that behaves like a browser without scripts."""

    def __init__(self, settings: Settings, url: str, app) -> None:
        self.settings, self.url, self.app = settings, url, app

    def client(self, language: str = "en") -> "Client":
        return Client(
            base_url=self.url,
            headers={"Accept-Language": language},
            timeout=240,
            limits=httpx.Limits(max_connections=None),
            verify=False,  # reading the certificates, which HTTP has no use for, takes longer than most requests
        )


class Client(httpx.Client):
    """Sends a session's CSRF token with every change, as the pages do."""

    _csrf: tuple[str, str] | None = None  # a session and its token

    @property
    def csrf(self) -> str:
        if self._csrf is None or self._csrf[0] != self.cookies.get("hashtagger"):
            page = self.get("/", follow_redirects=True).text
            self._csrf = (self.cookies["hashtagger"], re.search(r'<meta name="csrf" content="(\w+)"', page)[1])
        return self._csrf[1]

    def send_form(self, path: str, /, **fields):
        return self.post(path, data={"csrf": self.csrf, **fields})

    def ask(self, photo: Path, vocabulary: str = "hashtags_ko"):
        return self.post(
            "/recommend",
            headers={"X-CSRF-Token": self.csrf},
            data={"vocabulary": vocabulary},
            files={"file": (photo.name, photo.read_bytes())},
        )


@cache
def empty_database() -> bytes:
    """A migrated SQLite database, cached because migrating takes longer than starting a server."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "db.sqlite")
        open_database(Settings(Path(folder), f"sqlite:///{path}")).kw["bind"].dispose()
        return path.read_bytes()


@contextmanager
def running(settings: Settings) -> Iterator[Site]:
    settings.data_dir.mkdir(exist_ok=True)
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.database_url.startswith("sqlite:") and not path.exists():
        path.write_bytes(empty_database())
    app = create_app(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # On a busy machine a test may be idle for longer than uvicorn's default keep-alive timeout.
        config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=240, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=[server.serve(sockets=[listener])])
        thread.start()
        try:
            yield Site(settings, f"http://127.0.0.1:{listener.getsockname()[1]}", app)
        finally:
            server.should_exit = True
            thread.join()
            app.state.services.sessions.kw["bind"].dispose()


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch) -> None:
    """Share the networks between servers: loading them takes longer than most tests."""
    monkeypatch.setattr("hashtagger.serving.engine.Recommender", lambda name: _recommender(name, find_weights(name)))


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch) -> None:
    """Use cheap argon2id parameters: a hash takes a millisecond instead of tenths of a second."""
    quick = PasswordHasher(time_cost=1, memory_cost=64)
    monkeypatch.setattr("hashtagger.serving.accounts._hasher", lambda: quick)


@pytest.fixture
def sure_of_places(monkeypatch) -> None:
    """Treat the best landmark as sure whatever its score, because no test photo shows a landmark."""
    sure = recommend._sure
    monkeypatch.setattr(recommend, "_sure", lambda name: 0.0 if name == "landmarks_world" else sure(name))


@cache
def _recommender(vocabulary: str, found: Path) -> Recommender:
    """Load a network once per weights file; ``found`` is only part of the cache key."""
    return Recommender(vocabulary)


def pytest_generate_tests(metafunc):
    """Run tests of the database on SQLite and PostgreSQL, and tests of the browser, security and API on SQLite only."""
    if "database" in metafunc.fixturenames:
        one = "browse" in metafunc.fixturenames or metafunc.module.__name__.endswith(("test_security", "test_api"))
        metafunc.parametrize("database", ["sqlite"] if one else ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A temporary PostgreSQL server, as a function that returns the URL of an empty database.

    Each "database" is a new role with a schema, which takes milliseconds; a real database would be a thousand files.
    """
    pytest.importorskip("pg8000", reason="needs pg8000")
    # Debian does not put initdb on the PATH.
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb", path=os.pathsep.join(map(str, reversed(debians)))) or shutil.which("initdb")
    if found is None:
        pytest.skip("needs PostgreSQL on this machine")
    tools = Path(found).resolve().parent
    home = Path(tempfile.mkdtemp(prefix="hashtagger-pg-"))
    user = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        name = next(one.pw_name for one in pwd.getpwall() if one.pw_name in ("postgres", "nobody"))
        user = {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
        shutil.chown(home, name)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*command: object) -> None:
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, cwd=home, **user)

    run(tools / "initdb", "-D", home / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    run(tools / "pg_ctl", "-D", home / "data", "-w", "-l", home / "log", "-o", options, "start")
    server = f"127.0.0.1:{port}/postgres"
    engine = sqlalchemy.create_engine(f"postgresql+pg8000://postgres@{server}")
    numbers = itertools.count()

    def create() -> str:
        name = f"t{next(numbers)}"
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"CREATE ROLE {name} LOGIN"))
            connection.execute(sqlalchemy.text(f"CREATE SCHEMA AUTHORIZATION {name}"))
        return f"postgresql+pg8000://{name}@{server}"

    try:
        yield create
    finally:
        engine.dispose()
        run(tools / "pg_ctl", "-D", home / "data", "-m", "immediate", "stop")
        shutil.rmtree(home)


@pytest.fixture
def database(request, tmp_path) -> str:
    """The URL of a new database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres")()
    return f"sqlite:///{tmp_path / 'data' / 'db.sqlite'}"


@pytest.fixture
def make_settings(tmp_path: Path, database: str) -> Callable[..., Settings]:
    return lambda **changes: Settings(**{"data_dir": tmp_path / "data", "database_url": database} | changes)


@pytest.fixture
def site(make_settings) -> Iterator[Site]:
    with running(make_settings()) as found:
        yield found


@pytest.fixture
def client(site) -> Iterator[Client]:
    with site.client() as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    """The system's Chromium, driven by Playwright.

    Closed before other modules' tests fork, because closing hangs while a forked process holds the driver's pipe open.
    """
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

    def open_page(
        path: str = "/", *, locale: str = "en-US", width: int = 1440, on: Site | None = None, asks: str = "-", **options
    ):
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
        known = (base, "blob:", asks)
        page.on("request", lambda asked: None if asked.url.startswith(known) else wrong.append(asked.url))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


POSTS = [
    ("2021-04-01", "우리 #댕댕이 와 #카페"),
    ("2021-04-02", "#강아지 산책"),
    ("2021-05-03", "#야옹이"),
    ("2022-01-04", "#고양이 #cat"),
    ("2022-01-05", "#아무도모르는말"),
]


def cut(source: Path, number: int) -> bytes:
    """A JPEG cropped from a real photo, different for each number."""
    out = io.BytesIO()
    left, top = number * 37 % 400, number * 23 % 200
    Image.open(source).crop((left, top, left + 200, top + 160)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def export(sample_photos, tmp_path) -> Path:
    """Instagram's data export as one ZIP, with real photos."""
    path = tmp_path / "instagram-someone.zip"
    posts = []
    with zipfile.ZipFile(path, "w") as archive:
        for number, (day, caption) in enumerate(POSTS):
            uri = f"media/posts/{day[:4]}{day[5:7]}/{number}.jpg"
            archive.writestr(uri, cut(sample_photos["flower"], number))
            taken = int(datetime.fromisoformat(day).replace(hour=3, tzinfo=timezone.utc).timestamp())
            mojibake = caption.encode().decode("latin-1")
            posts.append({"media": [{"uri": uri, "creation_timestamp": taken, "title": mojibake}]})
        archive.writestr("your_instagram_activity/content/posts_1.json", json.dumps(posts))
    return path


def wait_for_imports(client, seconds: float = 120) -> str:
    deadline = time.monotonic() + seconds
    while "hx-trigger" in (text := client.get("/library/imports").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text


def add(client, path: Path) -> str:
    assert client.send_form("/library/imports", path=str(path)).status_code == 303
    return wait_for_imports(client)


def posts_at(client, **query) -> list[int]:
    text = client.get("/library", params=query).text
    return [int(number) for number in re.findall(r'href="/library/posts/(\d+)["?]', text)]
