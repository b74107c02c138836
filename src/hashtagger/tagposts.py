"""Read only the tags of posts, from JSON Lines files or from any source of posts."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hashtagger.errors import SourceError, cause_of
from hashtagger.i18n import _
from hashtagger.posts import open_source


class TagPost(NamedTuple):
    """One post: its tags as typed and, if known, its date (YYYY-MM-DD) and the search query that found it."""

    tags: tuple[str, ...]
    date: str | None = None
    query: str | None = None


def read_tag_posts(*paths: Path) -> Iterator[TagPost]:
    """Read posts from JSON Lines files (one object with ``tags`` per line) and from a source of posts.

    Args:
        paths: ``.jsonl`` and ``.jsonl.gz`` files; other paths are opened as one source, by
            :func:`hashtagger.posts.open_source`.

    Raises:
        SourceError: A path cannot be read, or a line is not a post.
    """
    tables = [path for path in paths if path.name.endswith((".jsonl", ".jsonl.gz"))]
    for path in tables:
        yield from _read_table(path)
    if others := [path for path in paths if path not in tables]:
        for post in open_source(others).posts():
            yield TagPost(post.tags, post.taken_at.date().isoformat())


def _read_table(path: Path) -> Iterator[TagPost]:
    number = 0
    try:
        # Decode line by line, so that the error can name the line that is not UTF-8.
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007 (used in the error message)
                if line.strip():
                    yield _tag_post(json.loads(line.decode("utf-8-sig")))
    except OSError as error:
        raise SourceError(f"{path}: {cause_of(error)}") from error
    except (EOFError, zlib.error) as error:
        raise SourceError(f"{path}: " + _("damaged: {error}").format(error=error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(
            _("{path}: line {number} is not a post with tags").format(path=path, number=number)
        ) from error


def _tag_post(entry: Any) -> TagPost:
    tags, *others = entry["tags"], entry.get("date"), entry.get("query")
    texts = [*tags, *(other for other in others if other is not None)]
    if not isinstance(tags, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError
    return TagPost(tuple(tags), *others)
