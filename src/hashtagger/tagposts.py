"""Posts of which only the tags matter: from a JSON Lines file, or from anything that holds posts."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hashtagger.errors import SourceError
from hashtagger.i18n import _


class TagPost(NamedTuple):
    """One post's tags as typed, the day it was posted (YYYY-MM-DD) and what was searched for, where known."""

    tags: tuple[str, ...]
    date: str | None = None
    query: str | None = None


def read_tag_posts(path: Path) -> Iterator[TagPost]:
    """Read posts from a ``.jsonl`` or ``.jsonl.gz`` file (an object with ``tags`` a line), or from a source of posts.

    Raises:
        SourceError: It cannot be read, or a line holds no post.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        from hashtagger.posts import open_source

        for post in open_source(path).posts():
            yield TagPost(post.tags, post.taken_at.date().isoformat())
        return
    at = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for at, line in enumerate(lines, start=1):  # noqa: B007 (a message names the line)
                if line.strip():
                    entry = json.loads(line)
                    yield TagPost(tuple(map(str, entry["tags"])), entry.get("date"), entry.get("query"))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except (EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(_("{path}: line {number} is no post with tags").format(path=path, number=at)) from error
