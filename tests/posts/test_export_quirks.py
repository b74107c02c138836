"""Oddities of exports: labels in any language, files within files, names in two Unicode forms."""

import json
import unicodedata
import zipfile
from pathlib import Path

import pytest

from hashtagger.posts import open_source

JPEG = b"\xff\xd8\xff\xe0 a photo"
A, B, C = "media/posts/202304/a.jpg", "media/posts/202304/b.jpg", "media/posts/202304/c.jpg"
NOON = 1_682_000_000


def damaged(text: str) -> str:
    return text.encode().decode("latin-1")


def label(name: str, value: str, **more) -> dict:
    return {"label": damaged(name), "value": damaged(value), **more}


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


def read(path, **options):
    source = open_source(path, **options)
    return list(source.posts()), source.problems


def labelled(tmp_path, *entries: list[dict]):
    content = [
        {"timestamp": NOON + number, "media": [{"uri": uri}], "label_values": values}
        for number, (uri, values) in enumerate(zip((A, B, C), entries, strict=False))
    ]
    files = {"your_instagram_activity/media/posts_1.json": content, A: JPEG, B: JPEG, C: JPEG}
    return read(write(tmp_path, files))[0]


@pytest.mark.parametrize("word", ["문구", "Légende", "キャプション", "Подпись"])
def test_one_tagged_caption_tells_the_label_of_all(tmp_path, word):
    place = label("위치", "제주특별자치도 제주시 애월읍 어딘가, 글보다 긴 이름 #장소")
    time = label("만든 시간", "2024년 1월 1일 월요일 오전 9:00에 만들었습니다")
    owner = {"title": "Owner", "dict": [{"dict": [label("소개", "내 소개 #일상 #소통 #맞팔")]}]}
    posts = labelled(
        tmp_path, [time, place, label(word, "좋은 날"), owner], [label(word, "산책 #강아지"), time, owner],
        [time, label("위치", "서울"), label(word, "나들이 #한강"), owner],
    )[:3]  # fmt: skip
    assert [post.caption for post in posts] == ["좋은 날", "산책 #강아지", "나들이 #한강"]


def test_each_part_has_its_language_or_that_of_the_others(tmp_path):
    place = label("위치", "글보다 훨씬 긴 이름을 가진 어느 장소")
    parts = {
        "2023": [[label("Caption", "walk #dog"), place], [label("Caption", "home"), place], [label("Caption", "sea")]],
        "2024": [[place, label("문구", "산책 #강아지")], [place, label("문구", "나들이 #한강")], [place]],
        "2024-2": [[place, label("문구", "좋은 날")]],
    }
    for number, (part, entries) in enumerate(parts.items()):
        times = range(NOON + number * 100, NOON + number * 100 + len(entries))
        content = [
            {"timestamp": time, "media": [], "label_values": entry} for time, entry in zip(times, entries, strict=True)
        ]
        write(tmp_path / part, {f"your_instagram_activity/media/posts_{number}.json": content})
    captions = {post.caption for post in read(tmp_path)[0]}
    assert captions == {"walk #dog", "home", "sea", "산책 #강아지", "나들이 #한강", "좋은 날"}


OWNER = {"title": "Owner", "dict": [{"dict": [label("소개", "내 소개 #일상 #소통 #맞팔")]}]}


def test_hashtag_in_the_owners_name_alone_is_no_caption(tmp_path):
    posts = labelled(tmp_path, [OWNER, label("문구", "좋은 날")], [label("문구", " "), OWNER])
    assert [post.caption for post in posts[:2]] == ["좋은 날", ""]
    for part in ("2023", "2024", "2025"):
        words = "산책 #강아지" if part == "2024" else "좋은 날"
        entry = {"timestamp": NOON + int(part), "media": [], "label_values": [OWNER, label("문구", words)]}
        write(tmp_path / "parts" / part, {f"your_instagram_activity/media/posts_{part}.json": [entry]})
    assert sorted(post.caption for post in read(tmp_path / "parts")[0]) == ["산책 #강아지", "좋은 날", "좋은 날"]


def test_post_without_the_label_of_captions_has_none(tmp_path):
    posts = labelled(
        tmp_path, [OWNER], [label("문구", "산책 #강아지"), OWNER], [label("위치", "카페거리 #여기"), OWNER]
    )  # fmt: skip
    assert [post.caption for post in posts] == ["", "산책 #강아지", ""]


def test_without_a_hashtag_anywhere_words_are_captions_and_digits_are_not(tmp_path):
    time = label("시간", "2024년 1월 1일 오전 9:00")
    posts = labelled(tmp_path, [time, label("문구", "좋은 날")], [time], [label("번호", "#12345"), time])
    assert [post.caption for post in posts] == ["좋은 날", "", ""]


def test_full_width_hash_makes_a_hashtag(tmp_path):
    posts = labelled(tmp_path, [label("문구", "산책 ＃강아지"), label("위치", "글보다 훨씬 긴 이름을 가진 어느 장소")])
    assert (posts[0].caption, posts[0].tags) == ("산책 ＃강아지", ("강아지",))


def test_text_of_a_link_is_no_caption(tmp_path):
    link = {"label": "URL", "value": "https://www.instagram.com/p/C1/", "href": "https://www.instagram.com/p/C1/#x"}
    posts = labelled(tmp_path, [link])
    assert (posts[0].caption, posts[0].permalink) == ("", "https://www.instagram.com/p/C1/")


def test_files_named_among_the_labels_are_the_posts(tmp_path):
    values = [{"label": "Media", "media": [{"uri": A}, {"uri": B}]}, label("캡션", "둘 #바다")]
    content = {"timestamp": NOON, "media": [], "label_values": [{"label_values": values}]}
    files = {"your_instagram_activity/media/posts_1.json": content, A: JPEG, B: JPEG}
    posts, problems = read(write(tmp_path, files))
    assert [(post.caption, [media.name for media in post.media]) for post in posts] == [
        ("둘 #바다", ["a.jpg", "b.jpg"])
    ]
    assert problems == []


@pytest.mark.parametrize("key", ["creation_timestamp", "timestamp"])
def test_the_posts_own_time_comes_before_that_of_its_media(tmp_path, key):
    entry = {"media": [{"uri": A, "creation_timestamp": NOON - 40}], key: NOON, "label_values": []}
    posts, __ = read(write(tmp_path, {"content/posts_1.json": [entry], A: JPEG}))
    assert posts[0].taken_at.timestamp() == NOON


def test_other_renderings_dubbed_sound_and_backups_come_along(tmp_path):
    item = {
        "uri": A, "creation_timestamp": NOON, "title": "", "backup_uri": B, "media_variants": [{"uri": C}],
        "dubbing_info": [{"locale": "en", "uri": "media/posts/202304/en.m4a"}],
    }  # fmt: skip
    files = {"content/posts_1.json": [{"media": [item]}], A: JPEG, B: JPEG, C: JPEG, "media/posts/202304/en.m4a": b"x"}
    posts, problems = read(write(tmp_path, files))
    assert [[(media.name, media.kind) for media in post.media] for post in posts] == [
        [("a.jpg", "photo"), ("b.jpg", "other"), ("en.m4a", "other"), ("c.jpg", "other")]
    ]
    assert problems == []


def test_backup_stands_in_for_its_file(tmp_path):
    item = {"uri": A, "creation_timestamp": NOON, "backup_uri": B}
    posts, problems = read(write(tmp_path, {"content/posts_1.json": [{"media": [item]}], B: JPEG}))
    assert [(media.name, media.kind) for media in posts[0].media] == [("b.jpg", "photo")]
    assert problems == []


@pytest.mark.parametrize("named", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("packed", [False, True])
def test_korean_names_are_found_composed_or_not(tmp_path, named, stored, packed):
    name = "media/posts/202304/강아지.jpg"
    uri = damaged(unicodedata.normalize(named, name))
    files = {
        "content/posts_1.json": [{"media": [{"uri": uri, "creation_timestamp": NOON}]}],
        unicodedata.normalize(stored, name): JPEG,
    }
    path = tmp_path / "export"
    if packed:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as out:
            for inside, content in files.items():
                out.writestr(inside, content if isinstance(content, bytes) else json.dumps(content))
    else:
        write(path, files)
    posts, problems = read(path)
    assert [(len(post.media), post.time_is_guess) for post in posts] == [(1, False)]
    assert problems == []


def test_archive_packed_with_backslashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("content\\posts_1.json", json.dumps([{"media": [{"uri": A, "creation_timestamp": NOON}]}]))
        out.writestr(A.replace("/", "\\"), JPEG)
    posts, problems = read(tmp_path / "x.zip")
    assert [len(post.media) for post in posts] == [1]
    assert problems == []


def test_insights_of_a_kind_that_was_not_asked_for_are_no_posts(tmp_path):
    story = "media/stories/202304/s.jpg"
    insight = {"media_map_data": {"x": {"uri": story, "creation_timestamp": NOON + 9, "title": "story"}}}
    files = {
        "content/posts_1.json": [{"media": [{"uri": A, "creation_timestamp": NOON}]}],
        "past_instagram_insights/stories.json": {"organic_insights_stories": [insight]},
        A: JPEG, story: JPEG,
    }  # fmt: skip
    root = write(tmp_path, files)
    assert len(read(root)[0]) == 1
    assert len(read(root, stories=True)[0]) == 2
