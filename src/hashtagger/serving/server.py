"""Running the app with uvicorn."""

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
    """Another server uses the data folder."""


def serve(settings: Settings, host: str, port: int, *, open_browser: bool, started: Callable[[str], object]) -> None:
    """Serve the app until a signal stops it. Only one server may use a data folder.

    Args:
        settings: The server's settings.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        open_browser: Whether to open the page in a browser once the server has started.
        started: Called with the page's URL once the server has started.

    Raises:
        HashtaggerError: The address is taken, the database cannot be used, another server uses the data folder, or
            the server cannot start for another reason, which is logged.
        OSError: The data folder cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = settings.data_dir / "address"  # the URL of the server that uses this folder
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
            # In a thread, because webbrowser.open waits for text browsers until they are closed.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    # Slow uploads and downloads must not keep the server from stopping.
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=5)
    server = _Server(config, tell)
    # uvicorn raises Ctrl-C again after its shutdown, and exits if it fails to start.
    with suppress(KeyboardInterrupt, SystemExit):
        asyncio.run(server.serve(sockets=[listener]))
    if not server.started:
        raise HashtaggerError(_("the server could not start; the lines above tell why"))


class _Server(uvicorn.Server):
    """Calls a function once the server accepts requests."""

    def __init__(self, config: uvicorn.Config, answering: Callable[[], object]) -> None:
        super().__init__(config)
        self._answering = answering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._answering()
