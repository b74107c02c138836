"""The command line. Each command is a module of this package with a click command named `command`."""

import errno
import importlib
import os
import pkgutil
import sqlite3
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hashtagger import i18n
from hashtagger.errors import HashtaggerError, cause_of
from hashtagger.i18n import _

i18n.use_for_click()


class Commands(click.Group):
    """A group that finds its commands among this package's modules and imports each only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List every command; modules with a leading underscore are not commands."""
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, reporting a user's error or Ctrl-C in one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            click.echo(str(stop) or _("stopped"), err=True)
            ctx.exit(130)
        except (HashtaggerError, sqlite3.Error) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output is gone: click exits quietly
                raise
            cause = cause_of(error)
            raise click.ClickException(f"{error.filename}: {cause}" if error.filename else cause) from error


@click.group(
    cls=Commands,
    help=_("Korean hashtags for photos, and folders by date and hashtag for posts."),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="hashtagger")
def group() -> None:
    """Group all commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line with ``arguments`` (the process's own by default) and exit."""
    if sys.stdin is None:  # some services start commands with stdin closed
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Korean tags must not crash a command on a console or pipe with another encoding.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # Pillow warns about odd photos; the ones it cannot read raise an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    group(args=arguments, prog_name="hashtagger")
