import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.posts.jsonstream import entries

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, so that every value is cut somewhere."""

    def read(self, size=-1):
        return super().read(min(size, 3) if size > 0 else size)


def read(data: bytes | str) -> list:
    return list(entries(Trickle(data.encode() if isinstance(data, str) else data)))


@given(st.lists(VALUES, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_array_comes_as_its_elements(values, indent, escaped):
    data = json.dumps(values, indent=indent, ensure_ascii=escaped)
    assert read(data) == [(None, value) for value in values]


def test_wrapper_comes_as_the_elements_of_its_lists():
    data = json.dumps({"a": 1, "photos": [{"path": "x"}], "empty": [], "videos": [2, 3]})
    assert read(data) == [("photos", {"path": "x"}), ("videos", 2), ("videos", 3)]


def test_wrapper_within_a_wrapper():
    assert read(json.dumps({"version": 1, "data": {"posts": [2, 3], "more": {}}})) == [("posts", 2), ("posts", 3)]


@pytest.mark.parametrize(
    "post", [{"title": "x", "media": [{"uri": "a"}]}, {"uri": "a", "tags": {}}, {"label_values": []}]
)
def test_single_post_instead_of_an_array(post):
    assert read(json.dumps(post)) == [(None, post)]
    assert read(json.dumps({"ig_reels_media": post})) == [("ig_reels_media", post)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_editors_leave(encoding):
    assert read('[{"title": "강아지 🐶"}]'.encode(encoding)) == [(None, {"title": "강아지 🐶"})]


def test_bad_byte_costs_one_character():
    assert read(b'[{"title": "a\xffb"}, 1]') == [(None, {"title": "a\ufffdb"}), (None, 1)]


@pytest.mark.parametrize(
    "rest", ['{"a": ', '{"a" 1}]', "nope]", "", "{1: 2}]", '"' + "x" * 200_000, "[" * 100_000, "1" * 5000 + "]", "2 3]"]
)
def test_entries_before_the_damage_are_kept(rest):
    reading = entries(io.BytesIO(f'[{{"uri": "a"}}, {rest}'.encode()))
    assert next(reading) == (None, {"uri": "a"})
    with pytest.raises(ValueError, match=r"."):
        list(reading)


def test_bare_control_characters_in_text_are_read():
    assert read('[{"title": "첫 줄\n둘째\t줄"}]') == [(None, {"title": "첫 줄\n둘째\t줄"})]


@pytest.mark.parametrize("data", ["[1] junk", "[1][2]", '{"a": [1]}\0', "[]{}", "{}[]"])
def test_what_follows_the_end_is_said(data):
    with pytest.raises(ValueError, match="it goes on after its end"):
        read(data)


@pytest.mark.parametrize("data", ["", "   ", "null", '"x"', "<html>", "5"])
def test_what_is_no_list_of_posts(data):
    with pytest.raises(ValueError, match="it "):
        read(data)


@given(st.binary())
def test_any_bytes_give_entries_or_a_value_error(data):
    with suppress(ValueError):
        read(data)


def test_one_entry_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr("hashtagger.posts.jsonstream._LARGEST_ENTRY", 1 << 20)

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b'["' if size == 2 else b"x" * size

    with pytest.raises(ValueError, match="too large"):
        list(entries(Endless()))
