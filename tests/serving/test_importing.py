"""Posts that an earlier import already added: edited since, or with files that it lacked."""

import json
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from hashtagger.serving.store import Correction, Post, PostTag

from .conftest import add, cut, posts_at

TAKEN = 1_617_246_000  # 2021-04-01 12:00 in Seoul


def make_export(
    path: Path, caption: str, photos: dict[str, bytes], lacking: tuple[str, ...] = (), taken: int = TAKEN
) -> Path:
    """Instagram's data export with one post, without the files of the names in ``lacking``."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in photos.items():
            if name not in lacking:
                archive.writestr(f"media/posts/202104/{name}", content)
        media = [{"uri": f"media/posts/202104/{name}", "creation_timestamp": taken} for name in photos]
        post = {"media": media, "title": caption.encode().decode("latin-1"), "creation_timestamp": taken}
        archive.writestr("your_instagram_activity/content/posts_1.json", json.dumps([post]))
    return path


@pytest.fixture
def photos(sample_photos) -> dict[str, bytes]:
    return {f"{number}.jpg": cut(sample_photos["flower"], number) for number in range(3)}


@pytest.fixture
def library(site):
    """Return the posts of the library: caption, tags, names of the files."""

    def posts() -> list[tuple[str, list[str], list[str]]]:
        with site.app.state.services.sessions() as db:
            return [
                (post.caption, [tag.tag for tag in post.tags], [one.name for one in post.media])
                for post in db.scalars(select(Post).order_by(Post.id))
            ]

    return posts


def test_an_edited_caption_renews_its_post(client, library, photos, tmp_path):
    add(client, make_export(tmp_path / "2021.zip", "산책 #댕댕이 #봄", photos))
    assert "posts: 1, new ones: 0)" in add(client, make_export(tmp_path / "2022.zip", "산책! #댕댕이 #카페", photos))
    assert library() == [("산책! #댕댕이 #카페", ["강아지", "카페"], list(photos))]
    assert posts_at(client, tag="카페") == posts_at(client, q="댕댕이") == [1]
    assert "new ones: 0)" in add(client, tmp_path / "2022.zip")
    assert library() == [("산책! #댕댕이 #카페", ["강아지", "카페"], list(photos))]


def test_photos_that_a_part_of_the_export_lacked_are_added_in_order(client, library, photos, tmp_path):
    words = "#여행 #카페"
    add(client, make_export(tmp_path / "part.zip", words, photos, lacking=("0.jpg", "2.jpg")))
    assert library() == [(words, ["여행", "카페"], ["1.jpg"])]
    assert "new ones: 0)" in add(client, make_export(tmp_path / "whole.zip", words, photos))
    assert library() == [(words, ["여행", "카페"], ["0.jpg", "1.jpg", "2.jpg"])]
    assert "new ones: 0)" in add(client, tmp_path / "part.zip")
    assert library() == [(words, ["여행", "카페"], ["0.jpg", "1.jpg", "2.jpg"])]


@pytest.mark.parametrize("forgotten", [False, True])
def test_corrections_outlive_an_edited_caption(client, library, photos, tmp_path, forgotten):
    add(client, make_export(tmp_path / "2021.zip", "#댕댕이 #봄 #카페", photos))
    client.send_form("/library/correct", posts=[1], add="여행 꽃", remove="카페")
    if forgotten:
        client.send_form("/history/delete")
    add(client, make_export(tmp_path / "2022.zip", "#댕댕이 #카페 #생일", photos))
    assert library() == [("#댕댕이 #카페 #생일", ["강아지", "여행", "꽃", "생일"], list(photos))]


def test_a_removed_tag_stays_away_when_an_older_export_comes_again(client, library, photos, tmp_path):
    add(client, make_export(tmp_path / "2021.zip", "#봄", photos))
    add(client, make_export(tmp_path / "2022.zip", "#봄 #카페", photos))
    client.send_form("/library/correct", posts=[1], remove="카페")
    add(client, tmp_path / "2021.zip")
    add(client, tmp_path / "2022.zip")
    assert library() == [("#봄 #카페", ["봄"], list(photos))]


def test_a_tag_that_the_user_added_stays_when_a_caption_gains_and_loses_it(client, library, photos, tmp_path):
    add(client, make_export(tmp_path / "2021.zip", "#봄", photos))
    client.send_form("/library/correct", posts=[1], add="카페")
    add(client, make_export(tmp_path / "2022.zip", "#봄 #카페", photos))
    add(client, make_export(tmp_path / "2023.zip", "#봄 #여행", photos))
    assert library() == [("#봄 #여행", ["봄", "카페", "여행"], list(photos))]


def test_words_that_an_earlier_version_did_not_know_are_read_anew(client, site, library, photos, tmp_path):
    add(client, make_export(tmp_path / "2021.zip", "#냥이 #댕댕이", photos))
    with site.app.state.services.sessions.begin() as db:
        db.execute(update(PostTag).where(PostTag.tag == "강아지").values(tag="댕댕이"))
    add(client, make_export(tmp_path / "2022.zip", "#냥이 #댕댕이 #봄", photos))
    assert library() == [("#냥이 #댕댕이 #봄", ["고양이", "강아지", "봄"], list(photos))]


@pytest.mark.parametrize("dated", [True, False])
def test_a_post_of_about_the_same_or_a_guessed_time_gets_the_photos_it_lacked(client, library, photos, tmp_path, dated):
    first = tmp_path / "first"
    if dated:
        make_export(first, "#봄", {"1.jpg": photos["1.jpg"]}, taken=TAKEN - 1)
    else:
        first.mkdir()
        (first / "1.jpg").write_bytes(photos["1.jpg"])
    add(client, first)
    assert "new ones: 0)" in add(client, make_export(tmp_path / "whole.zip", "#봄", photos))
    assert library() == [("#봄", ["봄"], list(photos))]
    assert "new ones: 0)" in add(client, first)
    assert library() == [("#봄", ["봄"], list(photos))]


def test_photos_saved_from_a_post_one_by_one_are_part_of_it(client, site, library, photos, tmp_path):
    """Their tags and corrections become those of the post; a photo that was posted at another time stays a post."""
    saved = tmp_path / "saved"
    saved.mkdir()
    for name, content in photos.items():
        (saved / name).write_bytes(content)
    add(client, saved)
    add(client, make_export(tmp_path / "alone.zip", "#꽃", {"2.jpg": photos["2.jpg"]}, taken=TAKEN - 3600))
    assert len(library()) == 3
    client.send_form("/library/correct", posts=[2], add="여행")
    whole = make_export(tmp_path / "whole.zip", "#봄", photos)
    for source in (whole, saved, whole):
        assert "new ones: 0)" in add(client, source)
        assert library() == [("#봄", ["봄", "여행"], list(photos)), ("#꽃", ["꽃"], ["2.jpg"])]
    assert posts_at(client, tag="여행") == [1]
    with site.app.state.services.sessions() as db:
        assert list(db.scalars(select(Correction.post_id))) == [1]
    stored = (site.settings.data_dir / "users/1/photos").rglob("*.jpg")
    assert len(list(stored)) == len(photos)


def test_words_replace_guesses_of_the_model_and_of_the_time(client, site, library, photos, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.jpg").write_bytes(photos["0.jpg"])
    (tmp_path / "folder" / "a.jpeg").write_bytes(photos["1.jpg"])
    add(client, tmp_path / "folder")
    with site.app.state.services.sessions.begin() as db:
        post = db.get(Post, 1)
        assert post.guess
        post.tags = [PostTag(user_id=1, position=0, typed="꽃", tag="꽃", by_model=True)]
    photo = {"0.jpg": photos["0.jpg"]}
    assert "new ones: 0)" in add(client, make_export(tmp_path / "export.zip", "#봄", photo))
    stored = (site.settings.data_dir / "users/1/photos").rglob("*.jpg")
    assert [path.stat().st_mtime for path in stored] == [TAKEN, TAKEN]
    assert "new ones: 0)" in add(client, tmp_path / "folder")
    assert library() == [("#봄", ["봄"], ["a.jpeg", "a.jpg"])]
    assert posts_at(client, month="2021-04") == [1]


def test_another_day_or_another_photo_makes_another_post(client, library, photos, tmp_path):
    one, other = ({name: photos[name]} for name in ("0.jpg", "1.jpg"))
    add(client, make_export(tmp_path / "first.zip", "#봄", one))
    assert "new ones: 1)" in add(client, make_export(tmp_path / "again.zip", "#봄", one, taken=TAKEN + 86400))
    assert "new ones: 1)" in add(client, make_export(tmp_path / "same.zip", "#봄", other))
    assert "new ones: 0)" in add(client, make_export(tmp_path / "apart.zip", "#여름", one, taken=TAKEN + 59))
    assert library() == [("#여름", ["여름"], ["0.jpg"]), ("#봄", ["봄"], ["0.jpg"]), ("#봄", ["봄"], ["1.jpg"])]


def test_one_post_that_the_database_rejects_does_not_stop_the_others(client, site, export):
    with site.app.state.services.sessions.begin() as db:
        db.execute(text("CREATE UNIQUE INDEX one_a_month ON post (month)"))
    shown = add(client, export)
    assert "posts: 3, new ones: 3)" in shown
    assert "Files with problems: 2<" in shown
    assert "1.jpg: the database rejects this post<" in shown
    assert len(list((site.settings.data_dir / "users/1/photos").rglob("*.jpg"))) == 3
