"""The app, served by uvicorn until it is stopped."""

import asyncio
import errno
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from hashtagger.errors import HashtaggerError, cause_of
from hashtagger.i18n import _
from hashtagger.locks import only_one
from hashtagger.serving.app import create_app
from hashtagger.serving.settings import Settings


class _ServedError(HashtaggerError):
    """Another server is on the data folder."""


def serve(settings: Settings, host: str, port: int, *, open_browser: bool, started: Callable[[str], object]) -> None:
    """Serve the app until it is stopped by a signal, as the only one on its data folder.

    Args:
        settings: How the app runs.
        host: Address to listen at.
        port: Port to listen at; 0 for a free one.
        open_browser: Whether to show the page once it is there.
        started: Called with the page's address once it is there.

    Raises:
        HashtaggerError: The address is taken, the database cannot be used, another server is on the data folder, or
            it cannot start for another reason, which is logged.
        OSError: The data folder cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = settings.data_dir / "address"  # of the server on this folder
    try:
        with only_one(settings.data_dir, settings.data_dir / "lock", _ServedError):
            app = create_app(settings)
            with _listen(host, port) as listener:
                shown = f"[{host.strip('[]')}]" if ":" in host else host
                address = f"http://{shown}:{listener.getsockname()[1]}"
                known.write_text(address, "utf-8")
                _run(app, listener, address, open_browser, started)
    except _ServedError as error:
        if not known.exists():
            raise
        raise HashtaggerError(
            _(
                "{path}: another hashtagger serves this folder at {address}; "
                "open that, or set HASHTAGGER_DATA_DIR to a folder for this one"
            ).format(path=settings.data_dir, address=known.read_text("utf-8"))
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise HashtaggerError(
                _("port {port} is taken by another program; choose another: --port {free}").format(
                    port=port, free=port + 1 if port < 65535 else 8000
                )
            ) from error
        raise HashtaggerError(
            _("cannot listen at {host}:{port} ({cause})").format(host=host, port=port, cause=cause_of(error))
        ) from error


def _run(
    app: FastAPI, listener: socket.socket, address: str, open_browser: bool, started: Callable[[str], object]
) -> None:
    def tell() -> None:
        started(address)
        if open_browser:
            # A text browser is waited for until it is closed.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    # Slow uploads and downloads do not keep it from stopping.
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=5)
    server = _Server(config, tell)
    # uvicorn hands Ctrl-C on once all is closed, and exits where the start failed.
    with suppress(KeyboardInterrupt, SystemExit):
        asyncio.run(server.serve(sockets=[listener]))
    if not server.started:
        raise HashtaggerError(_("the server could not start; the lines above tell why"))


class _Server(uvicorn.Server):
    """Calls a function once it answers."""

    def __init__(self, config: uvicorn.Config, answering: Callable[[], object]) -> None:
        super().__init__(config)
        self._answering = answering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._answering()
