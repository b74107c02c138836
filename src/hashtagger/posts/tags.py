"""The hashtags of a post's text."""

from collections.abc import Iterable

from hashtagger.tagtext import extract_tags


def caption_tags(caption: str, keywords: Iterable[str] = ()) -> tuple[str, ...]:
    """Collect a post's tags: keywords first, then the hashtags of its caption, each once, in order, as typed."""
    return tuple(dict.fromkeys([*keywords, *extract_tags(caption)]))
