"""Translate messages to Korean, by the user's locale, with GNU gettext from `locale/*/LC_MESSAGES/hashtagger.mo`."""

import gettext as _gettext
import locale
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

DOMAIN = "hashtagger"
LOCALE_DIR = Path(__file__).parent / "locale"

_gettext.bindtextdomain(DOMAIN, LOCALE_DIR)
if sys.platform == "win32" and not any(os.environ.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")):
    # gettext reads only the environment, which Windows leaves empty.
    os.environ["LANGUAGE"] = "ko" if (locale.getlocale()[0] or "").startswith(("ko", "Korean")) else "en"


_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


def _(message: str) -> str:
    """Translate an English message into the user's language; an unknown message is returned unchanged."""
    return _catalogue(language()).gettext(message)


def language() -> str:
    """Return the language of messages: ``"ko"`` or ``"en"``."""
    return _spoken.get() or ("ko" if "ko" in Path(_gettext.find(DOMAIN, LOCALE_DIR) or "").parts[-3:] else "en")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Use ``"ko"`` or ``"en"`` for messages within this context, whatever the locale."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


@lru_cache(maxsize=8)
def _catalogue(language: str) -> _gettext.NullTranslations:
    return _gettext.translation(DOMAIN, LOCALE_DIR, [language], fallback=True)


def use_for_click() -> None:
    """Translate click's own words ("Usage", "Options", ...) with our catalogue too."""
    # Given LANGUAGE="en:ko", gettext would pick Korean because our English catalogue is empty.
    os.environ["LANGUAGE"] = language()
    _gettext.textdomain(DOMAIN)
