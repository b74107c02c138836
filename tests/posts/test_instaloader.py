import errno
import json
import lzma
import os
import socket
from pathlib import Path

import pytest

from hashtagger.posts import open_source

JPEG = b"\xff\xd8\xff\xe0 a photo"
MP4 = b"\0\0\0\x18ftypisom a film"
BASE = "2023-04-20_14-13-20_UTC"
NOON = 1_682_000_000


def node(code: str = "CrAAAAAAAAA", caption: str | None = None, **more) -> dict:
    edges = [] if caption is None else [{"node": {"text": caption}}]
    known = {
        "shortcode": code,
        "taken_at_timestamp": NOON,
        "is_video": False,
        "edge_media_to_caption": {"edges": edges},
    }
    return {"__typename": "GraphImage", **known, **more}


def structure(node: dict, kind: str = "Post") -> dict:
    return {"node": node, "instaloader": {"version": "4.14", "node_type": kind}}


def write(folder: Path, files: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        if name.endswith(".xz") and not isinstance(content, bytes):
            data = lzma.compress(data, check=lzma.CHECK_NONE)
        (folder / name).write_bytes(data)
    return folder


def read(folder: Path, **options):
    source = open_source(folder, **options)
    return list(source.posts()), source.problems


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """A sidecar that lacks something must not make instaloader ask Instagram."""

    def refuse(*arguments):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_samples_of_the_shared_data(shared):
    posts, problems = read(shared / "posts" / "samples" / "G_instaloader")
    found = {post.permalink.split("/")[-2][2]: post for post in posts}
    assert sorted(found) == ["A", "B", "C", "D", "E"]
    assert [media.kind for media in found["B"].media] == ["photo", "photo", "video", "other"]
    assert [media.kind for media in found["D"].media] == ["video", "other"]
    assert found["C"].tags == ("제주여행", "여행스타그램", "유채꽃")
    assert found["C"].taken_at.isoformat() == "2023-06-06T06:20:02+09:00"
    assert found["E"].caption == "CRLF 윈도우 저장 #여름"
    assert {post.place for post in posts} == {"제주"}
    assert problems == []


@pytest.mark.parametrize("name", ["anything at all", "강아지_3", BASE, "2023-04-20 someone CrAAAAAAAAA"])
def test_sidecar_is_trusted_under_any_name(tmp_path, name):
    files = {
        f"{name}_1.jpg": JPEG,
        f"{name}_2.jpg": JPEG,
        f"{name}_2.mp4": MP4,
        f"{name}.json.xz": structure(node(caption="맞는 글 #산책")),
        f"{name}.txt": b"other text\n",
        f"{name}_old_01.txt": b"older text\n",
        f"{name}_comments.json": [],
    }
    posts, problems = read(write(tmp_path, files))
    assert [post.caption for post in posts] == ["맞는 글 #산책"]
    assert [(media.name, media.kind) for media in posts[0].media] == [
        (f"{name}_1.jpg", "photo"),
        (f"{name}_2.mp4", "video"),
        (f"{name}_2.jpg", "other"),
    ]
    assert posts[0].taken_at.isoformat() == "2023-04-20T23:13:20+09:00"
    assert problems == []


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_name_and_text_serve_where_there_is_no_sidecar(tmp_path, ending):
    files = {f"{BASE}.jpg": JPEG, f"{BASE}.txt": ("첫 줄" + ending + "#산책" + ending).encode()}
    posts, __ = read(write(tmp_path, files))
    assert posts[0].tags == ("산책",)
    assert not posts[0].caption.endswith("\n")
    assert posts[0].taken_at.isoformat() == "2023-04-20T23:13:20+09:00"


@pytest.mark.parametrize(
    ("sidecar", "caption"),
    [
        (structure(node(caption="글")), "글"),
        (structure(node(caption=None)), ""),
        (structure({"code": "CrA", "taken_at": NOON, "caption": {"text": "글"}}), "글"),
        (structure({"shortcode": "CrA", "date": NOON, "caption": "글"}), "글"),
        (structure({"shortcode": "CrA", "date": NOON, "iphone_struct": {"caption": {"text": "글"}}}), "글"),
        (structure({"code": "CrA", "date": NOON, "caption": None, "iphone_struct": {"caption": {"text": "글"}}}), "글"),
        (structure(node(caption="typed Ã© on purpose")), "typed Ã© on purpose"),
        (node(caption="글"), "글"),
        (structure(node(caption="글", edge_media_to_caption={"edges": [None]})), ""),
        (structure({"shortcode": 5, "taken_at_timestamp": "soon", "caption": 7}), ""),
    ],
    ids=["4", "silent", "code", "date", "iphone", "null", "raw", "3", "odd edges", "odd types"],
)
def test_every_shape_of_node(tmp_path, sidecar, caption):
    posts, __ = read(write(tmp_path, {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": sidecar}))
    assert [(post.caption, post.taken_at.isoformat()) for post in posts] == [(caption, "2023-04-20T23:13:20+09:00")]


def test_saved_post_without_words_has_no_caption_and_its_place(tmp_path):
    phone = {"caption": None, "location": {"pk": 1, "name": "제주"}}
    sidecar = structure({"shortcode": "CrA", "date": NOON, "caption": None, "iphone_struct": phone})
    files = {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": sidecar, f"{BASE}.txt": b"likes 5 #other\n"}
    posts, __ = read(write(tmp_path / ":saved", files))
    assert [(post.caption, post.place) for post in posts] == [("", "제주")]


def test_what_is_no_post_is_passed_over(tmp_path):
    files = {
        "2022-01-01_00-00-00_UTC_profile_pic.jpg": JPEG,
        "someone_7.json.xz": structure({"id": "7", "username": "someone"}, "Profile"),
        "iterator_AbC.json.xz": structure({"query_hash": "x"}, "FrozenNodeIterator"),
        "highlight_cover.jpg": JPEG,
        "id": b"7\n",
        "someone_id": b"7\n",
        f"{BASE}.jpg.temp": b"half",
        f"{BASE}.jpg": JPEG,
        f"{BASE}.json.xz": structure(node()),
    }
    posts, problems = read(write(tmp_path, files))
    assert [[media.name for media in post.media] for post in posts] == [[f"{BASE}.jpg"]]
    assert problems == []


def test_stories_by_flag(tmp_path):
    files = {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": structure({"id": "1", "taken_at_timestamp": NOON}, "StoryItem")}
    folder = write(tmp_path / ":stories", files)
    assert read(folder)[0] == []
    assert len(read(folder, stories=True)[0]) == 1


def test_targets_side_by_side_give_each_post_once(tmp_path):
    files = {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": structure(node(caption="글 #개"))}
    write(tmp_path / "#강아지", files)
    write(tmp_path / "someone", files)
    write(tmp_path / "：feed", {f"{BASE}.txt": "글 #개\n".encode()})
    other = structure(node("CrB", "딴 글", location={"name": "제주", "id": "1"}))
    write(tmp_path / "%123", {"2023-04-20_14-13-21_UTC.jpg": JPEG, "2023-04-20_14-13-21_UTC.json": other})
    posts, problems = read(tmp_path)
    assert sorted(post.caption for post in posts) == ["글 #개", "딴 글"]
    assert ["another folder" in problem.cause for problem in problems] == [True]


def test_missing_files_are_named_and_words_kept(tmp_path):
    children = {"edges": [{"node": {"is_video": False}}, {"node": {"is_video": True}}]}
    files = {
        "a.json.xz": structure(node("CrA", "사진 없는 글")),
        "b_1.jpg": JPEG,
        "b.json.xz": structure(node("CrB", "둘", __typename="GraphSidecar", edge_sidecar_to_children=children)),
        "c.jpg": JPEG,
        "c.json.xz": structure(node("CrC", "영상", is_video=True)),
    }
    posts, problems = read(write(tmp_path, files))
    assert sorted((post.caption, len(post.media)) for post in posts) == [("둘", 1), ("사진 없는 글", 0), ("영상", 1)]
    assert [Path(problem.location).name for problem in problems] == ["b_1.jpg", "c.jpg", "a"]


@pytest.mark.parametrize("content", [b"", b"not xz", lzma.compress(b"not json"), lzma.compress(b"[" * 99999)])
def test_damaged_sidecar_is_named_and_the_name_serves(tmp_path, content):
    files = {f"{BASE}.jpg": JPEG, f"{BASE}.txt": b"text #tag\n", f"{BASE}.json.xz": content}
    posts, problems = read(write(tmp_path, files))
    assert [(post.caption, post.taken_at.isoformat()) for post in posts] == [("text #tag", "2023-04-20T23:13:20+09:00")]
    assert [Path(problem.location).suffix for problem in problems] == [".xz"]


def test_sidecar_without_permission_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(lzma, "open", refuse)
    posts, problems = read(write(tmp_path, {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": b""}))
    assert len(posts) == 1
    assert [problem.cause for problem in problems] == ["permission denied"]


def test_sidecar_that_unpacks_without_end_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("hashtagger.posts.instaloader._LARGEST_SIDECAR", 1000)
    __, problems = read(write(tmp_path, {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": lzma.compress(bytes(10**6))}))
    assert "too large" in problems[0].cause


def test_photos_and_json_of_others_in_the_same_folder_are_not_lost(tmp_path):
    files = {
        f"{BASE}.jpg": JPEG,
        f"{BASE}.json.xz": structure(node()),
        "KakaoTalk_20230420_231320123.jpg": JPEG,
        "IMG_1.jpg": JPEG,
        "IMG_1.json": {"title": "of another program"},
        "IMG_1.txt": "글 #개".encode(),
        "settings.json": [1],
    }
    write(tmp_path, files)
    os.utime(tmp_path / "IMG_1.jpg", (1e9, 1e9))
    posts, problems = read(tmp_path)
    assert {media.name for post in posts for media in post.media} == {
        f"{BASE}.jpg",
        "KakaoTalk_20230420_231320123.jpg",
        "IMG_1.jpg",
    }
    assert [post.caption for post in posts if post.media[0].name == "IMG_1.jpg"] == ["글 #개"]
    assert {Path(problem.location).name for problem in problems} >= {"IMG_1.json", "settings.json"}


def test_caption_beside_a_photo_of_custom_name_without_sidecar(tmp_path):
    files = {"other.json.xz": structure(node()), "my name.jpg": JPEG, "my name.txt": "글 #개\n".encode()}
    posts, __ = read(write(tmp_path, files))
    assert [(post.caption, post.tags) for post in posts if post.media] == [("글 #개", ("개",))]


def test_carousel_of_custom_name_without_sidecar(tmp_path):
    files = {"other.json.xz": structure(node()), "my name.txt": b"words", "DSC.txt": b"notes", "DSC_0001.jpg": JPEG}
    files |= {f"my name_{number}.jpg": JPEG for number in (10, 9, 1)}
    posts, problems = read(write(tmp_path, files))
    assert sorted((post.caption, [media.name for media in post.media]) for post in posts if post.media) == [
        ("", ["DSC_0001.jpg"]),
        ("words", ["my name_1.jpg", "my name_9.jpg", "my name_10.jpg"]),
    ]
    assert [Path(problem.location).name for problem in problems if "left" in problem.cause] == ["DSC.txt"]


@pytest.mark.parametrize("base", ["{}", "2023-04-20_14-13-20_UTC {}", "someone {} x"])
def test_carousel_whose_files_are_named_by_their_addresses(tmp_path, base):
    def address(name: str) -> str:
        return f"https://scontent.cdninstagram.com/v/{name}?x=1"

    items = [{"display_url": address("11_n.jpg")}, {"display_url": address("22_n.jpg")}]
    items.append({"display_url": address("33_n.jpg"), "video_url": address("AQ33.mp4"), "is_video": True})
    phone = [{}, {"image_versions2": {"candidates": [{"url": address("44_n.webp")}]}}]
    more = {
        "display_url": address("11_n.jpg"), "iphone_struct": {"carousel_media": phone},
        "edge_sidecar_to_children": {"edges": [{"node": one} for one in items]},
    }  # fmt: skip
    files = {"11_n.json.xz": structure(node(caption="셋", **more)), "11_n.txt": "셋\n".encode()}
    files |= dict.fromkeys(["11_n.jpg", "44_n.webp", "33_n.jpg"], JPEG) | {"AQ33.mp4": MP4}
    named = {base.format(name.split(".")[0]) + "." + name.split(".", 1)[1]: content for name, content in files.items()}
    posts, problems = read(write(tmp_path, {**named, "IMG_1.jpg": JPEG}))
    assert {post.caption: [media.kind for media in post.media] for post in posts} == {
        "셋": ["photo", "photo", "video", "other"],
        "": ["photo"],
    }
    assert not any("missing" in problem.cause or "only" in problem.cause for problem in problems)


def test_decomposed_caption_and_text_are_one_post(tmp_path):
    words = "제주 #유채꽃"
    import unicodedata

    decomposed = unicodedata.normalize("NFD", words)
    write(tmp_path / "a", {f"{BASE}.jpg": JPEG, f"{BASE}.json.xz": structure(node(caption=decomposed))})
    write(tmp_path / "b", {f"{BASE}.txt": (words + "\n").encode()})
    posts, problems = read(tmp_path)
    assert [post.tags for post in posts] == [("유채꽃",)]
    assert problems == []


def test_leftovers_of_a_post_make_no_empty_post(tmp_path):
    files = {f"{BASE}_old_01.txt": b"older\n", f"{BASE}_comments.json": [], f"{BASE}_old_02.jpg": JPEG}
    posts, problems = read(write(tmp_path, files))
    assert [[media.name for media in post.media] for post in posts] == [[f"{BASE}_old_02.jpg"]]
    assert problems[-1].cause == "its photos and videos are missing"
