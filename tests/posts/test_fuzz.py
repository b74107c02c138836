"""Whatever an export, a sidecar or a file name holds: no traceback, no file lost, each problem named in one line."""

import json
import lzma
import os
import tempfile
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.errors import SourceError
from hashtagger.posts import Post, open_source
from hashtagger.posts.mojibake import printable
from hashtagger.posts.photos import is_hidden

JPEG = b"\xff\xd8\xff\xe0 a photo"
FILES = ["media/posts/202304/a.jpg", "media/posts/202304/b", "media/stories/202305/c.mp4", "photos/201811/d.heic"]
KEYS = [
    "media", "uri", "path", "title", "caption", "creation_timestamp", "timestamp", "taken_at", "media_metadata",
    "photo_metadata", "video_metadata", "exif_data", "date_time_original", "subtitles", "label_values", "label",
    "value", "href", "dict", "media_map_data", "string_map_data", "backup_uri", "location", "photos", "videos",
    "direct", "ig_stories",
]  # fmt: skip
NODE_KEYS = [
    "shortcode", "code", "taken_at_timestamp", "date", "taken_at", "caption", "text", "edge_media_to_caption", "edges",
    "node", "instaloader", "node_type", "iphone_struct", "location", "name", "is_video", "edge_sidecar_to_children",
    "__typename", "version",
]  # fmt: skip
KNOWN = [
    *FILES, "../a.jpg", "/etc/passwd", "https://x/y.jpg", "media", "", "\0", "#강아지", "ê°\x95", "\ud83d", "Post",
    "2023:04:20 23:13:20", "2018-11-05T20:19:29", "StoryItem", "x" * 300, "direct/x.jpg", "CrAAAAAAAAA",
]  # fmt: skip


def documents(keys: list[str]) -> st.SearchStrategy:
    """JSON that has the right keys and values, in the wrong places."""
    leaves = (
        st.none()
        | st.booleans()
        | st.sampled_from([0, -1, 1_682_000_000, 1_682_000_000_000, 10**40, 1e308, float("nan"), float("inf")])
        | st.sampled_from(KNOWN)
        | st.text(max_size=8)
    )
    names = st.sampled_from(keys) | st.text(max_size=4)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=25,
    )


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@contextmanager
def folder(files: dict[str, bytes]):
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), files)
        yield Path(name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """The photos of an export, written once for all examples."""
    root = tmp_path_factory.mktemp("export")
    write(root, dict.fromkeys(FILES, JPEG))
    return root


def used_of_export(photos: Path, lists: dict[str, object]) -> set[str]:
    """Read an export of these photos and lists, and return the files that its posts have."""
    write(photos, {name: json.dumps(document).encode() for name, document in lists.items()})
    try:
        return used(check(photos))
    finally:
        for name in lists:
            (photos / name).unlink()


def check(path: Path) -> list[Post]:
    """Read all posts at a path and check what the code that uses them relies on."""
    source = open_source(path, stories=True, other=True)
    posts = list(source.posts())
    for post in posts:
        assert post.taken_at.utcoffset() is not None
        assert isinstance(post.media, tuple)
        (post.caption + "".join(post.tags) + (post.place or "")).encode()
        for media in post.media:
            assert media.name
            with media.open() as stream:
                stream.read(1)
    for problem in source.problems:
        assert problem.location
        assert problem.cause
    return posts


def used(posts: list[Post]) -> set[str]:
    return {media.location for post in posts for media in post.media}


@given(
    st.sampled_from(["posts_1", "stories", "reels", "other_content", "archived_posts"]),
    documents(KEYS) | st.lists(st.dictionaries(st.sampled_from(KEYS), documents(KEYS)), max_size=4),
    documents(KEYS),
)
def test_export_of_any_json(photos, listing, document, insights):
    lists = {
        f"content/{listing}.json": document,
        "past_instagram_insights/posts.json": {"organic_insights_posts": insights},
        "content/posts_2.json": [],
    }
    found = used_of_export(photos, lists)
    assert found >= {str(photos / name) for name in FILES}, "each file is of a post, if only by a guess"


@given(documents(KEYS))
def test_old_export_of_any_json(photos, document):
    assert str(photos / FILES[3]) in used_of_export(photos, {"media.json": document})


@given(st.data())
def test_cut_and_flipped_bytes_of_an_export(data):
    posts = [{"media": [{"uri": name, "creation_timestamp": 1_682_000_000, "title": "ê°\x95"}]} for name in FILES[:2]]
    content = bytearray(json.dumps(posts).encode())
    for __ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    with folder({"content/posts_1.json": bytes(content), **dict.fromkeys(FILES[:2], JPEG)}) as root:
        assert used(check(root)) >= {str(root / name) for name in FILES[:2]}


@given(st.data())
def test_cut_and_flipped_bytes_of_an_archive(data):
    with folder({}) as root:
        path = root / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr(
                "content/posts_1.json", json.dumps([{"media": [{"uri": FILES[0], "creation_timestamp": 1e9}]}])
            )
            out.writestr(FILES[0], JPEG * 9)
            out.writestr(FILES[1], JPEG)
        content = bytearray(path.read_bytes())
        for __ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del content[data.draw(st.integers(0, len(content))) :]
        path.write_bytes(content)
        try:
            source = open_source(path)
            posts = list(source.posts())
        except SourceError as error:
            assert "\n" not in str(error)
            return
        for post in posts:
            for media in post.media:
                with suppress(OSError, zipfile.BadZipFile), media.open() as stream:
                    stream.read()


@given(documents(NODE_KEYS), st.booleans(), st.sampled_from(["Post", "StoryItem", "Profile", None, 5]))
def test_sidecar_of_any_json(document, wrapped, kind):
    structure = {"node": document, "instaloader": {"node_type": kind}} if wrapped else document
    sidecar = lzma.compress(json.dumps(structure).encode())
    base = "2023-04-20_14-13-20_UTC"
    files = {f"{base}.json.xz": sidecar, f"{base}_1.jpg": JPEG, "other.json.xz": sidecar, "other.jpg": JPEG}
    with folder(files) as root:
        posts = check(root)
        same = isinstance(structure, dict) and bool(posts) and posts[0].permalink is not None
        assert len(used(posts)) == 2 or same, "two sidecars of one address are one post"


NAMES = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                "2023-04-20_14-13-20_UTC",
                "IMG_20230420",
                "_1",
                "_old_01",
                ".",
                ".jpg",
                ".mp4",
                ".txt",
                ".json",
                ".xz",
                ".xmp",
                "_comments",
                "_location",
                "id",
                "iterator_",
                "강아지",
                " ",
                "KakaoTalk_",
                "9" * 30,
                "가",
                ".",
            ]
        )
        | st.text(st.characters(codec="utf-8", exclude_characters="/\0"), max_size=5),
        min_size=1,
        max_size=6,
    ),
).filter(lambda name: name not in ("", ".", "..") and len(name.encode()) < 200)


@given(st.lists(NAMES, unique=True, max_size=6), st.booleans())
def test_files_of_any_name_are_posts_or_problems(names, instaloader):
    with folder(dict.fromkeys([*names, "a.jpg"], JPEG)) as root:
        if instaloader:
            (root / "z.json.xz").write_bytes(lzma.compress(b"[]"))
        source = open_source(root)
        found = used(list(source.posts())) | {problem.location for problem in source.problems}
        for name in names:
            path = root / name
            passed_over = is_hidden(name) or name.startswith(("id", "iterator_")) or ".txt" in name or ".json" in name
            known = not found.isdisjoint((str(path), printable(str(path))))
            assert known or passed_over or not path.exists(), os.fsdecode(name)
