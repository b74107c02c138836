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

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _
from hashtagger.organize.journal import FOLDER, only_one
from hashtagger.serving.app import create_app
from hashtagger.serving.settings import Settings


def serve(settings: Settings, host: str, port: int, *, open_browser: bool, started: Callable[[str], object]) -> None:
    """Serve the app until it is stopped by a signal, as the only one on its data folder.

    Args:
        settings: How the app runs.
        host: Address to listen at.
        port: Port to listen at; 0 for a free one.
        open_browser: Whether to show the page once it is there.
        started: Called with the page's address once it is there.

    Raises:
        HashtaggerError: The address is taken, the database cannot be used, or another server is on the data folder.
        OSError: The data folder cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.data_dir / FOLDER).mkdir(exist_ok=True)
    with only_one(settings.data_dir):
        _serve(create_app(settings), host, port, open_browser, started)


def _serve(app: FastAPI, host: str, port: int, open_browser: bool, started: Callable[[str], object]) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        # Slow uploads and downloads do not keep it from stopping.
        timeout_graceful_shutdown=5,
    )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise HashtaggerError(
                _("port {port} is taken by another program; choose another: --port {free}").format(
                    port=port, free=port + 1 if port < 65535 else 8000
                )
            ) from error
        raise HashtaggerError(
            _("cannot listen at {host}:{port} ({cause})").format(host=host, port=port, cause=error.strerror)
        ) from error
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"

    async def run() -> None:
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.05)
        if server.started:
            started(address)
            if open_browser:
                # A text browser is waited for until it is closed.
                threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        await task

    # uvicorn hands Ctrl-C on once all is closed.
    with suppress(KeyboardInterrupt):
        asyncio.run(run())
