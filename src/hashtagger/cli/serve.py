"""`hashtagger serve`: the web page."""

import sqlite3

import click

from hashtagger.errors import HashtaggerError, MissingExtraError
from hashtagger.i18n import _


@click.command(help=_("Serve the web page. It finds tags for photos, and shows and sorts your posts. Ctrl-C stops it."))
@click.option("--host", default="127.0.0.1", show_default=True, help=_("Address to listen at."))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help=_("Port to listen at."))
@click.option("--no-browser", is_flag=True, help=_("Do not open the browser."))
@click.option("--accounts", is_flag=True, help=_("Let several people sign up and log in."))
def command(host: str, port: int, no_browser: bool, accounts: bool) -> None:
    """Serve until stopped."""
    try:
        from hashtagger.serving.server import serve
    except ImportError as error:
        raise MissingExtraError(
            _("the web page needs more packages ({name}): pip install '.[web]' in a clone of hashtagger").format(
                name=error.name
            )
        ) from error
    from hashtagger.serving.settings import is_loopback, read_settings

    if not accounts and not is_loopback(host):
        raise HashtaggerError(
            _("{host} can be reached from other machines; that requires --accounts, so that people log in").format(
                host=host
            )
        )
    settings = read_settings(accounts=accounts)
    try:
        serve(
            settings,
            host,
            port,
            open_browser=not no_browser,
            started=lambda address: click.echo(
                _("hashtagger is at {address} (Ctrl-C stops it)").format(address=address)
            ),
        )
    except sqlite3.Error as error:  # the message does not name the file
        raise HashtaggerError(f"{settings.data_dir}: {error}") from error
