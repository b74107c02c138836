import json
import zipfile
from pathlib import Path

import pytest

from hashtagger.errors import SourceError
from hashtagger.posts import open_source

JPEG = b"\xff\xd8\xff\xe0 a photo"
MP4 = b"\0\0\0\x18ftypisom a film"
A, B, C = "media/posts/202304/a.jpg", "media/posts/202304/b.jpg", "media/posts/202305/c.mp4"
NOON = 1_682_000_000


def damaged(text: str) -> str:
    return text.encode().decode("latin-1")


def item(uri: str, title: str | None = "", time: int | None = NOON, **more) -> dict:
    known = {"uri": uri, "title": None if title is None else damaged(title), "creation_timestamp": time}
    return {**{key: value for key, value in known.items() if value is not None}, **more}


def write(root: Path, files: dict[str, object]) -> Path:
    """Write an export: bytes as they are, all else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


def pack(path: Path, files: dict[str, object], prefix: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(prefix + name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def read(path, **options):
    source = open_source(path, **options)
    return list(source.posts()), source.problems


def shown(posts) -> list[tuple]:
    return [(post.taken_at.isoformat(), post.caption, [media.name for media in post.media]) for post in posts]


LISTINGS = [
    "content/posts_1.json",
    "your_instagram_activity/content/posts_1.json",
    "your_instagram_activity/media/posts_1.json",
    "your_instagram_activity/media/posts.json",
    "your_instagram_activity/posts/posts_1.json",
    "your_instagram_activity/media/posts/posts_1.json",
    "content/posts_17.json",
]


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("form", ["folder", "parent", "grandparent", "zip", "zip with folder", "folder of zips"])
def test_every_layout_in_every_form(tmp_path, listing, form):
    files = {listing: [{"media": [item(A, "제주 #바다")]}], A: JPEG, "media/posts/202304/._a.jpg": b"fork"}
    inner = "instagram-someone-2024-01-01-AbCd1234"
    path = {
        "folder": lambda: write(tmp_path / inner, files),
        "parent": lambda: write(tmp_path / inner, files).parent,
        "grandparent": lambda: write(tmp_path / "meta-2026-Jan-09" / inner, files).parents[1],
        "zip": lambda: pack(tmp_path / "x.zip", files),
        "zip with folder": lambda: pack(tmp_path / "x.zip", files, f"meta-2026-Jan-09-00-00-00/{inner}/"),
        "folder of zips": lambda: pack(tmp_path / "x.ZIP", files).parent,
    }[form]()
    posts, problems = read(path)
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "제주 #바다", ["a.jpg"])]
    assert posts[0].tags == ("바다",)
    assert problems == []
    with posts[0].media[0].open() as stream:
        assert stream.read() == JPEG
    assert posts[0].media[0].size == len(JPEG)


@pytest.mark.parametrize("listing", [name for name in LISTINGS if name.startswith("your_")])
def test_its_folder_of_activity_stands_for_the_whole_export(tmp_path, monkeypatch, listing):
    monkeypatch.chdir(write(tmp_path, {listing: [{"media": [item(A, "제주")]}], A: JPEG}) / "your_instagram_activity")
    for path in (".", Path.cwd(), Path.cwd() / Path(listing).parts[1]):
        posts, problems = read(path)
        assert (shown(posts), problems) == ([("2023-04-20T23:13:20+09:00", "제주", ["a.jpg"])], [])


def test_caption_and_time_of_carousel_stand_on_the_post(tmp_path):
    post = {
        "media": [item(A, time=NOON - 5), item(B, time=NOON - 4)],
        "title": damaged("둘"),
        "creation_timestamp": NOON,
    }
    posts, __ = read(write(tmp_path, {"content/posts_1.json": [post], A: JPEG, B: JPEG}))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "둘", ["a.jpg", "b.jpg"])]


@pytest.mark.parametrize(
    "content", [{"media": [item(A, "하나")]}, {"media": item(A, "하나")}, [{"media": item(A, "하나")}]]
)
def test_single_object_for_an_array(tmp_path, content):
    posts, __ = read(write(tmp_path, {"content/posts_1.json": content, A: JPEG}))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "하나", ["a.jpg"])]


def test_several_archives_of_one_export_are_merged(tmp_path):
    pack(tmp_path / "p1.zip", {"content/posts_1.json": [{"media": [item(A, "하나"), item(C)]}], A: JPEG})
    pack(tmp_path / "p2.zip", {"content/posts_2.json": [{"media": [item(B, "둘")]}], C: MP4}, "part2/")
    pack(tmp_path / "p3.zip", {B: JPEG})
    posts, problems = read(tmp_path)
    assert sorted(post.caption for post in posts) == ["둘", "하나"]
    assert [len(post.media) for post in posts if post.caption == "하나"] == [2]
    assert problems == []
    again, __ = read([tmp_path / "p1.zip", tmp_path / "p2.zip", tmp_path / "p3.zip"])
    assert shown(again) == shown(posts)


@pytest.mark.parametrize("names", [("2023", "2024"), ("b", "a")])
def test_of_two_years_exports_the_later_has_the_words_that_count(tmp_path, names):
    old, new = (tmp_path / name for name in names)
    listing = "your_instagram_activity/media/posts_{}.json".format
    write(
        old, {listing(1): [{"media": [item(A, "처음", NOON)]}, {"media": [item(B, "둘", NOON + 99)]}], A: JPEG, B: JPEG}
    )
    write(
        new, {listing(2): [{"media": [item(A, "고침", NOON)]}], listing(1): [{"media": [item(C, "셋", NOON + 9999)]}]}
    )
    write(new, {A: JPEG, C: MP4})
    for given in (tmp_path, [old, new], [new, old]):
        assert {post.caption for post in read(given)[0]} == {"고침", "둘", "셋"}


def test_post_archived_after_an_edit_has_the_words_of_the_later_export(tmp_path):
    write(tmp_path / "2023", {"content/posts_1.json": [{"media": [item(A, "처음")]}], A: JPEG})
    archived = {"ig_archived_post_media": [{"media": [item(A, "고침")]}]}
    later = {"content/archived_posts.json": archived, "content/posts_1.json": [{"media": [item(B, "둘", NOON + 99)]}]}
    write(tmp_path / "2024", {**later, A: JPEG, B: JPEG})
    for given in (tmp_path, [tmp_path / "2024", tmp_path / "2023"]):
        assert {post.caption for post in read(given)[0]} == {"고침", "둘"}


@pytest.mark.parametrize("packed", [False, True])
def test_part_of_media_alone_is_known_by_its_months_and_its_depth(tmp_path, packed):
    files = {
        "p1/content/posts_1.json": [{"media": [item(A, "하나"), item(B)]}],
        "p1/" + A: JPEG, "p2/" + B: JPEG, "backup/photos/2020/trip.jpg": JPEG, "old/deeper/photos/202001/x.jpg": JPEG,
    }  # fmt: skip
    posts, problems = read(pack(tmp_path / "x.zip", files) if packed else write(tmp_path, files))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "하나", ["a.jpg", "b.jpg"])]
    left = [] if packed else [str(tmp_path / "backup"), str(tmp_path / "old")]
    assert [problem.location for problem in problems] == left


def test_photos_beside_an_export_are_counted_and_left_alone(tmp_path):
    write(tmp_path / "instagram-x", {"content/posts_1.json": [{"media": [item(A, "하나")]}], A: JPEG})
    write(tmp_path / "instagram-x" / "someone", {"2023-04-20_14-13-20_UTC.jpg": JPEG})
    write(tmp_path / "backup", {"photos/2020/trip.jpg": JPEG, "videos/wedding.mp4": MP4, "raw.CR2": b"II*\0"})
    write(tmp_path / "work", {"media/posts/draft.jpg": JPEG, ".thumbnails/draft.jpg": JPEG})
    pack(tmp_path / "friends.zip", {"photos/friend.jpg": JPEG, "__MACOSX/photos/._friend.jpg": b"fork"})
    pack(tmp_path / "letters.zip", {"letter.txt": b"x"})
    posts, problems = read(tmp_path)
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "하나", ["a.jpg"])]
    assert {(problem.location, problem.cause[:24]) for problem in problems} == {
        (str(tmp_path / "friends.zip"), "holds photos but no Inst"),
        (str(tmp_path / "backup"), "3 photos and videos here"),
        (str(tmp_path / "instagram-x" / "someone"), "1 photos and videos here"),
        (str(tmp_path / "work/media/posts/draft.jpg"), "no post names it; left w"),
    }


def test_a_part_may_hold_media_without_months_alone(tmp_path):
    other = "media/other/1_n_17.jpg"
    listed = {"content/posts_1.json": [{"media": [item(A, "하나"), item(other, "하나")]}], A: JPEG}
    write(tmp_path / "folders" / "1", listed)
    write(tmp_path / "folders" / "2", {other: JPEG})
    pack(tmp_path / "archives" / "1.zip", listed)
    pack(tmp_path / "archives" / "2.zip", {other: JPEG})
    for parts in ("folders", "archives"):
        posts, problems = read(tmp_path / parts)
        assert (shown(posts), problems) == ([("2023-04-20T23:13:20+09:00", "하나", ["a.jpg", "1_n_17.jpg"])], [])


@pytest.mark.parametrize("inner", ["p1", "meta-2026-Jan-09/instagram-x"])
def test_of_the_archives_some_may_be_unpacked(tmp_path, inner):
    content = [{"media": [item(A, "하나"), item(C)]}]
    write(tmp_path / inner, {A: JPEG})
    write(tmp_path / "years" / "photos" / "202304", {"IMG_1.jpg": JPEG})
    archived = pack(tmp_path / "p2.zip", {"content/posts_1.json": content, C: MP4})
    posts, problems = read(tmp_path)
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "하나", ["a.jpg", "c.mp4"])]
    assert [Path(problem.location).name for problem in problems] == ["years"]
    assert shown(read([tmp_path / inner, archived])[0]) == shown(posts)
    listed = write(tmp_path / "p3", {"content/posts_1.json": content, C: MP4})
    assert shown(read([listed, tmp_path / inner])[0]) == shown(posts)


@pytest.mark.parametrize("name", ["media.json", "posts.json"])
def test_folder_of_photos_is_no_export_by_the_name_of_a_file(tmp_path, name):
    write(tmp_path, {"IMG_1.jpg": JPEG, "IMG_2.jpg": JPEG, name: [{"type": "image"}]})
    assert [media.name for post in read(tmp_path)[0] for media in post.media] == ["IMG_1.jpg", "IMG_2.jpg"]
    pack(tmp_path / "album" / "x.zip", {"content/posts_1.json": [{"media": [item(A, "하나")]}], A: JPEG})
    posts, problems = read(tmp_path)
    assert [post.caption for post in posts] == ["하나"]
    assert [problem.cause[:24] for problem in problems] == ["2 photos and videos here"]


@pytest.mark.parametrize("content", [b"{", {"photos": [{"path": "photos/201811/a.jpg", "caption": "하나"}]}])
def test_media_json_stands_beside_its_months_or_lists_posts(tmp_path, content):
    write(tmp_path / "with", {"media.json": content, "photos/201811/a.jpg": JPEG})
    assert [post.taken_at.isoformat() for post in read(tmp_path / "with")[0]] == ["2018-11-01T00:00:00+09:00"]
    pack(tmp_path / "p1.zip", {"media.json": content})
    pack(tmp_path / "p2.zip", {"photos/201811/a.jpg": JPEG})
    if content != b"{":
        assert [post.caption for post in read([tmp_path / "p1.zip", tmp_path / "p2.zip"])[0]] == ["하나"]


def test_same_post_in_several_lists_comes_once_with_its_caption(tmp_path):
    files = {
        "content/posts_1.json": [{"media": [item(A), item(B)]}, {"media": [item(C, "셋")]}],
        "content/archived_posts.json": {"ig_archived_post_media": [{"media": [item(B, "보관 #겨울")]}]},
        "past_instagram_insights/posts.json": {
            "organic_insights_posts": [
                {"media_map_data": {"Media Thumbnail": item(C, "셋 옛말")}, "string_map_data": {}},
            ]
        },
        A: JPEG, B: JPEG, C: MP4,
    }  # fmt: skip
    posts, problems = read(write(tmp_path, files))
    assert shown(posts) == [
        ("2023-04-20T23:13:20+09:00", "셋", ["c.mp4"]),
        ("2023-04-20T23:13:20+09:00", "보관 #겨울", ["a.jpg", "b.jpg"]),
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("archived_posts", "ig_archived_post_media"),
        ("igtv_videos", "ig_igtv_media"),
        ("other_content", "ig_other_media"),
    ],
)
def test_list_of_posts_is_believed_before_the_others(tmp_path, name, key):
    post = {"media": [item(A), item(B)], "title": damaged("새 글"), "creation_timestamp": NOON}
    files = {
        "content/posts_1.json": [post],
        f"content/{name}.json": {key: [{"media": [item(B, "옛 글", NOON - 40)]}]},
        A: JPEG, B: JPEG,
    }  # fmt: skip
    posts, __ = read(write(tmp_path, files), other=True)
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "새 글", ["a.jpg", "b.jpg"])]


def test_of_posts_that_a_later_entry_ties_together_the_first_has_the_words(tmp_path):
    names = [f"media/posts/202304/{number}.jpg" for number in range(20)]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    first, last = (
        [{"media": [item(one, "처음")]} for one, __ in pairs],
        [{"media": [item(one, "다음")]} for __, one in pairs],
    )
    both = [{"media": [item(one), item(other)]} for one, other in pairs]
    files = {"content/posts_1.json": first + last + both, **dict.fromkeys(names, JPEG)}
    posts, __ = read(write(tmp_path, files))
    assert [(post.caption, len(post.media)) for post in posts] == [("처음", 2)] * len(pairs)


def insight(uri, title, time):
    return {"media_map_data": {"Vorschaubild": item(uri, title, time)}, "string_map_data": {"x": {"value": "1"}}}


def test_insights_lend_a_caption_by_file_or_by_moment(tmp_path):
    files = {
        "content/posts_1.json": [{"media": [item(A)]}, {"media": [item(B, time=NOON + 60)]}],
        "logged_information/past_instagram_insights/posts.json": {
            "organic_insights_posts": [insight(A, "하나", NOON), insight("https://x/y.jpg", "둘", NOON + 60)]
        },
        A: JPEG, B: JPEG,
    }  # fmt: skip
    posts, problems = read(write(tmp_path, files))
    assert [post.caption for post in posts] == ["하나", "둘"]
    assert problems == []


def test_insight_with_a_thumbnail_of_its_own_lends_its_caption_and_is_no_post(tmp_path):
    files = {
        "content/posts_1.json": [{"media": [item(A)]}],
        "past_instagram_insights/posts.json": {"organic_insights_posts": [insight(B, "하나", NOON)]},
        A: JPEG, B: JPEG,
    }  # fmt: skip
    posts, problems = read(write(tmp_path, files))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "하나", ["a.jpg"])]
    assert problems == []


def test_moment_that_two_posts_share_tells_neither(tmp_path):
    told = [insight("https://x/y.jpg", "누구의", NOON), insight(B, "둘", NOON)]
    files = {
        "content/posts_1.json": [{"media": [item(A)]}, {"media": [item(B)]}],
        "past_instagram_insights/posts.json": {"organic_insights_posts": told},
        A: JPEG, B: JPEG,
    }  # fmt: skip
    assert [post.caption for post in read(write(tmp_path, files))[0]] == ["", "둘"]


def test_posts_of_one_second_that_insights_alone_tell_of_are_not_lost(tmp_path):
    told = [insight(A, "하나", NOON), insight(B, "둘", NOON)]
    files = {"past_instagram_insights/posts.json": {"organic_insights_posts": told}, A: JPEG, B: JPEG}
    assert [post.caption for post in read(write(tmp_path, files))[0]] == ["하나", "둘"]


def test_file_shared_by_two_posts_of_other_words_and_times_stays_with_both(tmp_path):
    content = [{"media": [item(A, "처음")]}, {"media": [item(A, "다시", NOON + 9999)]}]
    posts, __ = read(write(tmp_path, {"content/posts_1.json": content, A: JPEG}))
    assert {post.caption for post in posts} == {"처음", "다시"}


def test_reels_stories_and_other_content_by_flag(tmp_path):
    names = {
        kind: f"media/{kind}/202304/{kind}.jpg" for kind in ("posts", "reels", "igtv", "stories", "profile", "other")
    }
    files = {
        "content/posts_1.json": [{"media": [item(names["posts"])]}],
        "content/reels.json": {"ig_reels_media": [{"media": [item(names["reels"])]}]},
        "content/igtv_videos.json": {"ig_igtv_media": [{"media": [item(names["igtv"])]}]},
        "content/stories.json": {"ig_stories": [item(names["stories"])]},
        "content/profile_photos.json": {"ig_profile_picture": [item(names["profile"])]},
        "content/other_content.json": {"ig_other_media": [item(names["other"])]},
        **dict.fromkeys(names.values(), JPEG),
    }
    root = write(tmp_path, files)

    def kinds(**options):
        posts, problems = read(root, **options)
        assert problems == []
        return {post.media[0].name[:-4] for post in posts}

    assert kinds() == {"posts", "reels", "igtv"}
    assert kinds(reels=False) == {"posts"}
    assert kinds(stories=True) == {"posts", "reels", "igtv", "stories"}
    assert kinds(other=True) == {"posts", "reels", "igtv", "profile", "other"}


def test_private_messages_are_never_opened(tmp_path):
    secret = {"participants": [], "messages": [{"photos": [item("messages/inbox/x/photos/s.jpg")]}], "media": []}
    files = {
        "content/posts_1.json": [
            {"media": [item(A)]},
            {"media": [item("your_instagram_activity/messages/inbox/x/photos/s.jpg")]},
        ],
        "your_instagram_activity/messages/inbox/x/message_1.json": secret,
        "messages/inbox/x/posts_1.json": [{"media": [item("messages/inbox/x/photos/s.jpg")]}],
        "messages/inbox/x/photos/s.jpg": JPEG,
        "your_instagram_activity/messages/inbox/x/photos/s.jpg": JPEG,
        "media/posts/messages/s.jpg": JPEG,
        A: JPEG,
    }
    for path in (write(tmp_path / "folder", files), pack(tmp_path / "x.zip", files)):
        posts, problems = read(path, stories=True, other=True)
        assert [media.name for post in posts for media in post.media] == ["a.jpg"]
        assert [problem.cause.split(":")[0] for problem in problems] == ["names a file outside of the export"]


def test_layout_of_2018(tmp_path):
    def row(path, caption=None, taken_at="2018-11-05T20:19:29", **more):
        return {"taken_at": taken_at, "path": path, **({} if caption is None else {"caption": caption}), **more}

    files = {
        "media.json": {
            "photos": [
                row("photos/201811/a.jpg", "산책 #강아지", location="제주시"),
                row("photos/201811/b.jpg"),
                row("photos/201811/c.jpg", "산책 #강아지"),
            ],
            "videos": [
                row("videos/201811/d.mp4", "산책 #강아지", "2018-11-05T20:19:29+00:00"),
                row("videos/201811/e.mp4", "", "2019-05-06T16:08:09+00:00"),
            ],
            "stories": [row("stories/201901/s.jpg", ""), row("stories/201901/t.jpg")],
            "profile": [row("profile/p.jpg", is_active_profile=True)],
            "direct": [row("direct/201801/x.jpg")],
        },
        "photos/201811/a.jpg": JPEG, "photos/201811/b.jpg": JPEG, "photos/201811/c.jpg": JPEG,
        "videos/201811/d.mp4": MP4, "videos/201811/e.mp4": MP4, "stories/201901/s.jpg": JPEG, "profile/p.jpg": JPEG,
        "stories/201901/t.jpg": JPEG, "direct/201801/x.jpg": JPEG,
    }  # fmt: skip
    together = read(write(tmp_path, files), stories=True)[0]
    assert sorted(len(post.media) for post in together) == [1, 1, 1, 1, 3], "stories are no part of a carousel"
    posts, problems = read(tmp_path)
    assert sorted(shown(posts)) == [
        ("2018-11-06T05:19:29+09:00", "", ["b.jpg"]),
        ("2018-11-06T05:19:29+09:00", "산책 #강아지", ["a.jpg", "c.jpg", "d.mp4"]),
        ("2019-05-07T01:08:09+09:00", "", ["e.mp4"]),
    ]
    assert {post.place for post in posts if post.caption} == {"제주시"}
    assert problems == []


@pytest.mark.parametrize("label", ["Caption", "Légende", "캡션", "Bildunterschrift"])
def test_label_values_in_any_language(tmp_path, label):
    owner = {"title": damaged("소유자"), "dict": [{"title": "", "dict": [
        {"label": "URL", "value": ""},
        {"label": damaged("이름"), "value": damaged("아주 긴 이름을 가진 가상의 인물이라서 글보다 길다")},
        {"label": damaged("사용자 이름"), "value": "someone"},
    ]}]}  # fmt: skip
    address = {
        "label": "URL",
        "value": "https://www.instagram.com/p/C1a2B3c4D5e/",
        "href": "https://www.instagram.com/p/X/",
    }
    first = {
        "timestamp": NOON,
        "media": [{"uri": A}],
        "label_values": [{"label": damaged(label), "value": damaged("새해 #등산")}, address, owner],
        "fbid": "1",
    }
    nested = {
        "timestamp": NOON + 1,
        "media": [{"uri": B}],
        "label_values": [owner, {"label_values": first["label_values"]}],
    }
    silent = {"timestamp": NOON + 2, "media": [{"uri": C}], "label_values": [address, owner]}
    old = {"media": [item("media/posts/202305/d.jpg", "옛 모양")]}
    files = {"your_instagram_activity/media/posts.json": [first, nested, silent, old]}
    posts, __ = read(write(tmp_path, {**files, A: JPEG, B: JPEG, C: MP4, "media/posts/202305/d.jpg": JPEG}))
    assert [post.caption for post in posts] == ["새해 #등산", "새해 #등산", "", "옛 모양"]
    assert posts[0].permalink == "https://www.instagram.com/p/C1a2B3c4D5e/"
    assert posts[0].tags == ("등산",)


def test_label_values_without_files_keep_the_words_and_say_so(tmp_path):
    content = [{"timestamp": NOON, "media": [], "label_values": [{"label": "Caption", "value": damaged("글 #여름")}]}]
    posts, problems = read(write(tmp_path, {"your_instagram_activity/media/posts.json": content}))
    assert [(post.caption, post.media, post.tags) for post in posts] == [("글 #여름", (), ("여름",))]
    assert "holds no file" in problems[0].cause


LABELLED = "your_instagram_activity/media/posts.json"


def labelled(caption: str, code: str | None = None, time: int = NOON) -> dict:
    address = {"label": "URL", "value": f"https://www.instagram.com/p/{code}/"}
    values = [{"label": "Caption", "value": damaged(caption)}, *([address] if code else [])]
    return {"timestamp": time, "media": [], "label_values": values}


@pytest.mark.parametrize("code", [None, "C1"])
def test_labelled_post_without_files_comes_once_from_a_folder_and_its_archive(tmp_path, code):
    files = {LABELLED: [labelled("글 #여름", code), labelled("딴 글 #겨울", "C2" if code else None, NOON + 1)]}
    write(tmp_path / "instagram-x", files)
    pack(tmp_path / "instagram-x.zip", files)
    posts, problems = read(tmp_path)
    assert [post.caption for post in posts] == ["글 #여름", "딴 글 #겨울"]
    assert len(problems) == 2


@pytest.mark.parametrize("title", ["", "글 #여름"])
def test_labelled_post_without_files_takes_those_of_its_moment(tmp_path, title):
    older = {"your_instagram_activity/media/posts_1.json": [{"media": [item(A, title)]}], A: JPEG}
    posts, problems = read(write(tmp_path, {LABELLED: [labelled("글 #여름", "C1")], **older}))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "글 #여름", ["a.jpg"])]
    assert posts[0].permalink == "https://www.instagram.com/p/C1/"
    assert problems == []


@pytest.mark.parametrize("others", [[item(A, "딴 글")], [item(A), item(B)]])
def test_labelled_post_without_files_takes_none_of_other_words_or_of_one_of_two_posts(tmp_path, others):
    older = [{"media": [one]} for one in others]
    files = {LABELLED: [labelled("글 #여름")], "content/posts_1.json": older, A: JPEG, B: JPEG}
    posts, __ = read(write(tmp_path, files))
    sure = [post for post in posts if not post.time_is_guess]
    assert [(post.caption, len(post.media)) for post in sure if not post.media] == [("글 #여름", 0)]
    assert [len(post.media) for post in sure if post.media] == [1] * len(others)


def test_missing_files_are_named_and_the_words_kept(tmp_path):
    content = [{"media": [item(A, "남은 글"), item(B)]}]
    posts, problems = read(write(tmp_path, {"content/posts_1.json": content, B: JPEG}))
    assert shown(posts) == [("2023-04-20T23:13:20+09:00", "남은 글", ["b.jpg"])]
    assert [(problem.location, problem.cause[:8]) for problem in problems] == [(A, "named in")]


def test_unlisted_files_become_posts_of_their_month_as_a_guess(tmp_path):
    files = {"content/posts_1.json": [{"media": [item(A)]}], A: JPEG, B: JPEG, "media/posts/loose.jpg": JPEG}
    files["media/reels/no-data.txt"] = b""  # Instagram's mark of an empty folder
    for path in (write(tmp_path / "folder", files), pack(tmp_path / "x.zip", files)):
        posts, problems = read(path)
        guessed = {post.media[0].name: post for post in posts if post.time_is_guess}
        assert set(guessed) == {"b.jpg"}
        assert guessed["b.jpg"].taken_at.isoformat() == "2023-04-01T00:00:00+09:00"
        assert {Path(problem.location).name for problem in problems} == {"b.jpg", "loose.jpg"}


def test_unlisted_file_is_read_only_where_its_kind_is_wanted(tmp_path):
    files = {"content/posts_1.json": [{"media": [item(A)]}], A: JPEG, "media/stories/202304/s.jpg": JPEG}
    root = write(tmp_path, files)
    assert len(read(root)[0]) == 1
    assert len(read(root, stories=True)[0]) == 2


def test_names_without_extension_get_that_of_their_content(tmp_path):
    base = "media/posts/202304/AQN_179"
    files = {
        "content/posts_1.json": [
            {"media": [{"uri": base, "creation_timestamp": NOON, "media_metadata": {"video_metadata": {}}}]},
            {"media": [item(base + "2")]},
            {"media": [item("media/posts/202304/lie.heic")]},
            {"media": [{"uri": base + "3", "creation_timestamp": NOON, "media_metadata": {"video_metadata": {}}}]},
        ],
        base: MP4, base + "2": JPEG, "media/posts/202304/lie.heic": JPEG, base + "3": b"cut",
    }  # fmt: skip
    posts, problems = read(write(tmp_path, files))
    assert [(post.media[0].name, post.media[0].kind) for post in posts] == [
        ("AQN_179.mp4", "video"),
        ("AQN_1792.jpg", "photo"),
        ("lie.jpg", "photo"),
        ("AQN_1793", "video"),
    ]
    assert problems == []


def test_subtitles_travel_with_their_video(tmp_path):
    subtitles = {"video_metadata": {"subtitles": {"uri": "media/reels/202304/r.srt"}, "exif_data": []}}
    reel = {"media": [item("media/reels/202304/r.mp4", media_metadata=subtitles)]}
    files = {"content/reels.json": {"ig_reels_media": [reel]}, "media/reels/202304/r.mp4": MP4}
    posts, __ = read(write(tmp_path, {**files, "media/reels/202304/r.srt": b"1"}))
    assert [(media.name, media.kind) for media in posts[0].media] == [("r.mp4", "video"), ("r.srt", "other")]


def test_time_from_exif_or_month_where_the_entry_has_none(tmp_path):
    exif = {"photo_metadata": {"exif_data": [{"latitude": 1.0}, {"date_time_original": "20230420T141320.000Z"}]}}
    content = [{"media": [item(A, time=None, media_metadata=exif)]}, {"media": [item(B, time=None)]}]
    posts, __ = read(write(tmp_path, {"content/posts_1.json": content, A: JPEG, B: JPEG}))
    assert [(post.taken_at.isoformat(), post.time_is_guess) for post in posts] == [
        ("2023-04-20T23:13:20+09:00", False),
        ("2023-04-01T00:00:00+09:00", True),
    ]


def test_file_that_nothing_dates_is_not_left_out(tmp_path):
    files = {"content/posts_1.json": [{"media": [item("media/posts/a.jpg", "글", None)]}], "media/posts/a.jpg": JPEG}
    for path in (write(tmp_path / "folder", files), pack(tmp_path / "x.zip", files)):
        posts, problems = read(path)
        assert [(post.caption, post.time_is_guess, len(post.media)) for post in posts] == [("글", True, 1)]
        assert problems == []


def test_zone_is_the_users(tmp_path):
    root = write(tmp_path, {"content/posts_1.json": [{"media": [item(A)]}], A: JPEG})
    assert read(root, timezone="America/New_York")[0][0].taken_at.isoformat() == "2023-04-20T10:13:20-04:00"


def test_cut_list_keeps_what_is_before_the_cut(tmp_path):
    content = json.dumps([{"media": [item(A, "하나")]}, {"media": [item(B, "둘")]}]).encode()[:-20]
    posts, problems = read(write(tmp_path, {"content/posts_1.json": content, A: JPEG, B: JPEG}))
    assert [(post.caption, post.time_is_guess) for post in posts] == [("하나", False), ("", True)]
    assert "read only in part" in problems[0].cause


def test_climbing_and_absolute_names_are_not_followed(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    names = ["../secret.jpg", str(tmp_path / "secret.jpg"), "media/../../secret.jpg"]
    root = write(tmp_path / "export", {"content/posts_1.json": [{"media": [item(name, name)]} for name in names]})
    posts, problems = read(root)
    assert [(post.caption, post.media) for post in posts] == [(name, ()) for name in names]
    assert [problem.cause for problem in problems] == [f"names a file outside of the export: {name}" for name in names]


def test_html_export_asks_for_json(tmp_path):
    for path in (
        write(tmp_path / "a", {"your_instagram_activity/media/posts_1.html": b"<html>", A: JPEG}),
        pack(tmp_path / "x.zip", {"content/posts_1.html": b"<html>", A: JPEG}),
    ):
        with pytest.raises(SourceError, match="HTML.*JSON") as caught:
            open_source(path)
        assert str(path) in str(caught.value)


def test_what_holds_no_posts_says_what_was_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "text", {"a.txt": b"x"})
    for path in (tmp_path / "empty", tmp_path / "text", pack(tmp_path / "letters.zip", {"a.txt": b"x"})):
        with pytest.raises(SourceError, match=r"posts_1\.json") as caught:
            open_source(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "none")


def of_three_disks(archive: bytes) -> bytes:
    end = archive.rindex(b"PK\5\6")
    return archive[: end + 4] + b"\2\0" + archive[end + 6 :]


def encrypted(archive: bytes) -> bytes:
    for signature, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        pieces = archive.split(signature)
        archive = signature.join([pieces[0], *(p[: flags - 4] + b"\1" + p[flags - 3 :] for p in pieces[1:])])
    return archive


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("x.zip", of_three_disks, "one piece of a split archive"),
        ("x.zip.001", lambda archive: archive[:100], "one piece of a split archive"),
        ("x.zip", encrypted, "needs a password"),
    ],
)
def test_archive_that_needs_unpacking_says_so(tmp_path, name, change, cause):
    whole = pack(tmp_path / "whole", {"content/posts_1.json": [{"media": [item(A)]}], A: JPEG}).read_bytes()
    (tmp_path / "whole").unlink()
    (tmp_path / name).write_bytes(change(whole))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(SourceError, match=rf"{name}: {cause}.* unpack"):
            open_source(path)


def test_archive_of_photos_or_of_media_alone_says_what_to_give(tmp_path):
    with pytest.raises(SourceError, match=r"a\.zip: holds photos but no Instagram export; unpack it"):
        open_source(pack(tmp_path / "a.zip", {"a.jpg": JPEG}))
    with pytest.raises(SourceError, match=r"drive\.zip: holds other archives; unpack it"):
        open_source(pack(tmp_path / "drive.zip", {"instagram-x-1.zip": b"PK", "instagram-x-2.zip": b"PK"}, "drive/"))
    with pytest.raises(SourceError, match=r"b\.zip: .* no list of its posts; give the export's other ZIP"):
        open_source(pack(tmp_path / "b.zip", {A: JPEG}))
    for name in ("one", "two"):
        write(tmp_path / name, {"a.jpg": JPEG})
    with pytest.raises(SourceError, match=r"one, .*two: not the parts of one export"):
        open_source([tmp_path / "one", tmp_path / "two"])


def test_broken_archive_is_an_error_alone_and_a_problem_among_others(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(SourceError, match=r"broken\.zip: damaged"):
        open_source(tmp_path / "broken.zip")
    (tmp_path / "posts_1.json").write_text("[]")
    with pytest.raises(SourceError, match=r"posts_1\.json: not a ZIP archive; give"):
        open_source(tmp_path / "posts_1.json")
    pack(tmp_path / "good.zip", {"content/posts_1.json": [{"media": [item(A)]}], A: JPEG})
    posts, problems = read(tmp_path)
    assert len(posts) == 1
    assert [Path(problem.location).name for problem in problems] == ["broken.zip"]


def test_reading_twice_gives_the_same(tmp_path):
    source = open_source(write(tmp_path, {"content/posts_1.json": [{"media": [item(A), item(B)]}], A: JPEG}))
    assert list(source.posts()) == list(source.posts())
    assert len(source.problems) == 1


def test_samples_of_the_shared_data(shared):
    samples = shared / "posts" / "samples"
    old, __ = read(samples / "A_2018_media_json")
    assert sorted(len(post.media) for post in old) == [1, 2]
    for name in ("B_2021_content", "D_2024_activity_media"):
        posts, problems = read(samples / name)
        whole = {post.taken_at.isoformat(): post for post in posts if post.media}
        assert whole["2023-05-02T13:00:03+09:00"].tags == ("카페", "카페스타그램", "데이트", "일상")
        assert whole["2023-06-06T06:20:02+09:00"].tags == ("제주여행", "여행스타그램", "유채꽃")
        assert any("gone_n" in problem.location for problem in problems)
    labelled, __ = read(samples / "E_label_values")
    assert labelled[0].tags == ("등산", "산스타그램")
