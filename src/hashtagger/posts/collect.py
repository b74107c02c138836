"""Download a profile's posts, or training photos of a hashtag, from Instagram with instaloader.

All communication with Instagram is left to instaloader, including rate limiting, back-off, session files and file
names. An interrupted or refused run continues where it stopped when it is started again.
"""

import lzma
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nlargest
from itertools import islice
from pathlib import Path
from pickle import PickleError
from typing import TYPE_CHECKING

from hashtagger.errors import CollectError, cause_of
from hashtagger.i18n import _
from hashtagger.posts import sniff

if TYPE_CHECKING:
    from instaloader import Instaloader, NodeIterator, Post

_PROFILE = re.compile(r"(?:(?:https?://)?(?:www\.)?instagram\.com/|[@＠])?(?P<name>[A-Za-z0-9._]{1,30})/?(?:\?.*)?")
_STATUS = re.compile(r"\b(401|403|429) [A-Z]")
_CHECKPOINT = re.compile(r"browser to (\S+)")
_ITEM = re.compile(r"_\d+$")
_PINNED = 3
"""How many pinned posts, which may be old, a profile may show before its newest one."""
_TRIES = 3
"""How many times the user may enter a password or a code."""


@dataclass(frozen=True)
class Wanted:
    """Which posts to fetch, and a callback for progress.

    Attributes:
        since: Leave out posts older than this aware time.
        count: Fetch at most this many posts (1 or more), newest first.
        fast_update: Stop at the first post that is already on disk.
        on_post: Called before each post is fetched.
    """

    since: datetime | None = None
    count: int | None = None
    fast_update: bool = False
    on_post: Callable[[], object] = lambda: None


_EVERYTHING = Wanted()


@dataclass(frozen=True)
class Collected:
    """The result of a run.

    Attributes:
        folder: The folder the posts were saved in.
        posts: How many posts the folder holds now, from this and earlier runs, counted by the names of their files.
        problems: What could not be fetched, in instaloader's words.
    """

    folder: Path
    posts: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Login:
    """The account to log in with.

    Attributes:
        user: The account's name.
        ask_password: Asks the user for the password; called only if instaloader has no usable stored session.
        ask_code: Asks the user for the two-factor authentication code.
    """

    user: str
    ask_password: Callable[[], str]
    ask_code: Callable[[], str]


def collect_profile(
    profile: str, destination: Path, login: Login | None = None, wanted: Wanted = _EVERYTHING
) -> Collected:
    """Fetch a profile's posts, with their captions and instaloader's sidecars, into ``destination/<profile>/``.

    Args:
        profile: The profile's name, with or without ``@``, or its URL.
        destination: The parent folder.
        login: The account to log in with; without one, Instagram shows only public profiles, and not always.
        wanted: Which of the profile's posts to fetch.

    Raises:
        CollectError: The name is invalid, or fetching failed; the message says what to do.
    """
    named = _PROFILE.fullmatch(profile)
    if named is None:
        raise CollectError(_('"{name}" is not the name of a profile').format(name=profile))
    name = named["name"].lower()
    with _explained(name, login), _loader(destination, login) as loader:
        found = loader.check_profile_id(name)
        if wanted.count is not None:
            wanted = replace(wanted, since=_since_newest(found.get_posts(), wanted.count, wanted.since), count=None)
        return _fetch(loader, found.get_posts(), destination, found.username, wanted, pinned=_PINNED)


def collect_hashtag(
    tag: str, destination: Path, folder: str, login: Login | None = None, wanted: Wanted = _EVERYTHING
) -> Collected:
    """Fetch a hashtag's photos, without videos and captions, into the class folder ``destination/<folder>/``.

    Args:
        tag: The hashtag, with or without ``#``.
        destination: The parent of the class folders.
        folder: The class folder's name.
        login: The account to log in with; Instagram shows hashtags only to logged-in users.
        wanted: Which of the hashtag's posts to fetch.

    Raises:
        CollectError: The tag is invalid, or fetching failed; the message says what to do.
    """
    name = tag.lstrip("#＃").strip()
    if not name or any(character.isspace() or character in "/?#" for character in name):
        raise CollectError(_("{name}: not a hashtag").format(name=tag))
    if login is None:
        raise CollectError(
            _("#{tag}: Instagram shows hashtags only to those logged in; add --login USER").format(tag=name)
        )
    import instaloader

    with _explained(f"#{name}", login), _loader(destination, login, photos_only=True) as loader:
        posts = instaloader.Hashtag.from_name(loader.context, name).get_posts_resumable()
        return _fetch(loader, posts, destination, folder, wanted)


def _since_newest(posts: "NodeIterator[Post]", count: int, since: datetime | None) -> datetime | None:
    """Return the cutoff that keeps the ``count`` newest posts; old pinned posts may come before them."""
    times = nlargest(count, (post.date_local for post in islice(posts, count + _PINNED)))
    return max(filter(None, [since, *times[-1:]]), default=None)


def _fetch(
    loader: "Instaloader",
    posts: "NodeIterator[Post]",
    destination: Path,
    folder: str,
    wanted: Wanted,
    pinned: int = 0,
) -> Collected:
    """Download the wanted posts; the first ``pinned`` of ``posts`` may be older than those after them."""
    since = wanted.since

    def notify(post: "Post") -> bool:
        wanted.on_post()
        return True

    loader.posts_download_loop(
        posts,
        folder,
        fast_update=wanted.fast_update,
        post_filter=notify,
        max_count=wanted.count,
        takewhile=lambda post: since is None or post.date_local >= since,
        possibly_pinned=pinned,
    )
    media = [path for path in (destination / folder).glob("*") if sniff.of_name(path.name) in ("photo", "video")]
    stems = {_ITEM.sub("", path.stem) for path in media}
    return Collected(destination / folder, len(stems), tuple(loader.context.error_log))


@contextmanager
def _loader(destination: Path, login: Login | None, photos_only: bool = False) -> Iterator["Instaloader"]:
    import instaloader

    # instaloader formats this path, so braces in it must be doubled.
    root = str(destination).replace("{", "{{").replace("}", "}}")
    loader = instaloader.Instaloader(
        quiet=True,
        dirname_pattern=f"{root}/{{target}}",
        # Names made from the time would collide: different people may post in the same second.
        filename_pattern="{shortcode}" if photos_only else None,
        download_videos=not photos_only,
        download_video_thumbnails=not photos_only,
        save_metadata=not photos_only,
        post_metadata_txt_pattern="" if photos_only else None,
    )
    with loader:
        if login is not None:
            _log_in(loader, login)
        yield loader


def _log_in(loader: "Instaloader", login: Login) -> None:
    import instaloader

    with suppress(OSError, EOFError, LookupError, TypeError, ValueError, AttributeError, ImportError, PickleError):
        loader.load_session_from_file(login.user)
        return
    # There is no stored session, or this version of instaloader cannot read it.
    try:
        _try(lambda: loader.login(login.user, login.ask_password()))
    except instaloader.TwoFactorAuthRequiredException:
        _try(lambda: loader.two_factor_login(login.ask_code()))
    except KeyError as error:  # the cookies that Instagram's login page sets are missing
        raise CollectError(_("Instagram does not show its login page now; run it again in a few hours")) from error
    loader.save_session_to_file()


def _try(step: Callable[[], None]) -> None:
    """Let the user correct a wrong password or code."""
    import instaloader

    for _attempt in range(_TRIES - 1):
        with suppress(instaloader.BadCredentialsException):
            step()
            return
    step()


@contextmanager
def _explained(target: str, login: Login | None) -> Iterator[None]:
    """Convert exceptions from instaloader into a one-line CollectError that says what to do."""
    import instaloader
    import requests

    try:
        yield
    except (instaloader.InstaloaderException, instaloader.AbortDownloadException, requests.RequestException) as error:
        raise CollectError(_advice(target, login, error)) from error
    except OSError as error:
        raise CollectError(
            _("{file}: {error}; run it again to go on").format(file=error.filename or target, error=cause_of(error))
        ) from error
    except (LookupError, TypeError, AttributeError, AssertionError, ValueError, lzma.LZMAError) as error:
        raise CollectError(_unknown_answer(target)) from error


def _unknown_answer(target: str) -> str:
    import instaloader

    return _(
        "{target}: Instagram answered in a way that instaloader {version} does not know; update instaloader"
    ).format(target=target, version=instaloader.__version__)


def _advice(target: str, login: Login | None, error: Exception) -> str:
    import instaloader
    import requests

    cause: BaseException | None = error
    while cause is not None:  # instaloader wraps connection errors at varying depth
        if isinstance(cause, (requests.ConnectionError, requests.Timeout)):
            return _("{target}: no connection to Instagram; run it again to go on").format(target=target)
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split())
    status = _STATUS.search(text)
    if isinstance(error, instaloader.BadResponseException):
        return _unknown_answer(target)
    if isinstance(error, instaloader.ProfileNotExistsException):
        return _("{target}: there is no such profile, or it has blocked you").format(target=target)
    if isinstance(error, instaloader.PrivateProfileNotFollowedException):
        return _("{target}: the profile is private; log in as somebody who follows it").format(target=target)
    if isinstance(error, instaloader.BadCredentialsException):
        return _("{user}: wrong password or code").format(user=login.user if login else target)
    if checkpoint := _CHECKPOINT.search(text):
        return _("Instagram wants you to confirm your identity: open {address} in a browser, then run it again").format(
            address=f"https://www.instagram.com{checkpoint[1]}" if checkpoint[1].startswith("/") else checkpoint[1]
        )
    if any(word in text for word in ("checkpoint_required", "challenge_required", "feedback_required")):
        return _("Instagram wants you to confirm your identity: open its app, confirm, wait a while, then run it again")
    if isinstance(error, instaloader.LoginException):
        return _("{user}: Instagram refuses the login ({error})").format(user=login.user if login else "", error=text)
    # Instagram also says so with status 401, which asks those who are not logged in to log in.
    if (status and status[1] == "429") or (login is not None and "wait a few minutes" in text):
        return _("{target}: Instagram reports too many requests; run it again in a few hours to go on").format(
            target=target
        )
    if isinstance(error, instaloader.QueryReturnedNotFoundException):
        return _("{target}: Instagram knows nothing by this name").format(target=target)
    if isinstance(error, instaloader.LoginRequiredException) or "login page" in text or status:
        if login is None:
            return _("{target}: Instagram shows this only to those logged in; add --login USER").format(target=target)
        return _("{target}: Instagram has logged {user} out; delete {file} and run it again to log in").format(
            target=target, user=login.user, file=_session_file(login.user)
        )
    return _("{target}: {error}; run it again to go on").format(target=target, error=text)


def _session_file(user: str) -> str:
    from instaloader.instaloader import get_default_session_filename

    return get_default_session_filename(user)
