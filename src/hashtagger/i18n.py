"""Korean or English, by the user's locale: GNU gettext over `locale/*/LC_MESSAGES/hashtagger.mo`."""

import gettext as _gettext
import locale
import os
import sys
from pathlib import Path

DOMAIN = "hashtagger"
LOCALE_DIR = Path(__file__).parent / "locale"

_gettext.bindtextdomain(DOMAIN, LOCALE_DIR)
if sys.platform == "win32" and not any(os.environ.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")):
    # gettext reads only the environment, which Windows leaves empty.
    os.environ["LANGUAGE"] = "ko" if (locale.getlocale()[0] or "").startswith(("ko", "Korean")) else "en"


def _(message: str) -> str:
    """Translate an English message for the user; unknown ones come back as they are."""
    return _gettext.dgettext(DOMAIN, message)


def language() -> str:
    """Tell which language messages come out in: ``"ko"`` or ``"en"``."""
    return "ko" if _gettext.find(DOMAIN, LOCALE_DIR) else "en"


def use_for_click() -> None:
    """Let click's own words ("Usage", "Options", ...) come from our catalogue too."""
    _gettext.textdomain(DOMAIN)
