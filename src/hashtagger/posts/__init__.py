"""Sources of posts: Instagram's data export, instaloader's folders, plain photo folders."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hashtagger.errors import SourceError, cause_of
from hashtagger.i18n import _
from hashtagger.posts.dates import find_zone
from hashtagger.posts.post import Media, Post, Problem, Source

__all__ = ["Media", "Post", "Problem", "Source", "open_source"]


def open_source(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    timezone: str = "Asia/Seoul",
    reels: bool = True,
    stories: bool = False,
    other: bool = False,
) -> Source:
    """Detect the kind of source at a path and open it, without unpacking, changing or fully reading anything.

    Args:
        path: An Instagram data export (a ZIP archive, an unpacked folder, or a folder that contains either), an
            instaloader download folder or a parent of several, or a folder of photos. Several paths are treated as
            the parts of one export.
        timezone: The IANA name of the time zone that post times are converted to.
        reels: Whether to include reels and IGTV videos.
        stories: Whether to include stories.
        other: Whether to include an export's profile photos and other content.

    Raises:
        SourceError: There are no posts at the path; the message says what was looked for.
    """
    zone = find_zone(timezone)
    paths = [Path(path)] if isinstance(path, (str, PathLike)) else [Path(one) for one in path]
    for one in paths:
        _check_exists(one)
    shown = ", ".join(str(one) for one in paths)
    from hashtagger.posts.trees import beside, find_parts

    trees, useless = find_parts(paths)
    if any(name.endswith(".json") for tree in trees for name in tree.listings()):
        from hashtagger.posts.export import ExportSource

        left_out = [*useless, *beside(paths, trees)]
        return ExportSource(trees, zone, left_out=left_out, reels=reels, stories=stories, other=other)
    if trees:
        raise SourceError(
            _("{path}: this export is in HTML; ask Instagram for it again with JSON as the format").format(path=shown)
        )
    if len(paths) == 1 and paths[0].is_dir():
        from hashtagger.posts import instaloader, photos

        if instaloader.is_instaloader_folder(paths[0]):
            return instaloader.InstaloaderSource(paths[0], zone, stories=stories)
        if photos.has_media(paths[0]):
            return photos.PhotoSource(paths[0], zone)
    if useless:
        raise SourceError(f"{useless[0].location}: {useless[0].cause}")
    if len(paths) > 1:
        raise SourceError(_("{path}: not the parts of one export; give other folders one at a time").format(path=shown))
    looked_for = _(
        "{path}: no posts here; looked for an Instagram export (posts_1.json or media.json; if it came in several "
        "archives, give the folder that holds them all), for instaloader's files (.json.xz, _UTC.jpg) and for photos"
    )
    raise SourceError(looked_for.format(path=shown))


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, ValueError) as error:
        raise SourceError(_("{path}: no such file or folder").format(path=path)) from error
    except OSError as error:
        raise SourceError(f"{path}: {cause_of(error)}") from error
