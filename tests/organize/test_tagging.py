import csv
from datetime import datetime, timezone
from zipfile import ZipFile

import pytest

from hashtagger.errors import WeightsError
from hashtagger.organize import organize
from hashtagger.posts.post import Media, Post


@pytest.fixture
def photos(tmp_path):
    from PIL import Image
    from sklearn.datasets import load_sample_images

    palace = load_sample_images().images[0]
    Image.fromarray(palace[:300, :300]).save(tmp_path / "palace.png")
    Image.fromarray(palace[:200, 400:]).save(tmp_path / "sky.png")  # none of the tags fits
    return tmp_path


def test_posts_without_tags_get_the_models_where_it_is_sure(photos):
    from hashtagger.recommend import Recommender

    paths = [photos / "palace.png", photos / "sky.png"]
    sure = [answer[0].label.tag if answer else None for answer in Recommender().recommend(paths, top_k=1)]
    assert sure == ["여행", None]
    with ZipFile(photos / "export.zip", "w") as archive:
        archive.write(paths[1], "sky.png")
    (photos / "broken.jpg").write_bytes(b"not a photo")

    class Untagged:
        problems = ()

        def posts(self):
            when = datetime(2021, 4, 1, tzinfo=timezone.utc)
            yield Post(when, (Media("palace.png", str(paths[0]), "photo", paths[0]),))
            zipped = Media("sky.png", "export.zip!sky.png", "photo", None, photos / "export.zip", "sky.png")
            yield Post(when, (zipped,))
            broken = photos / "broken.jpg"
            yield Post(when, (Media("broken.jpg", str(broken), "photo", broken),))
            later = datetime(2021, 5, 1, tzinfo=timezone.utc)
            yield Post(later, (Media("palace.png", str(paths[0]), "photo", paths[0]),), tags=("여행",))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"])
    assert report.by_model == sum(tag is not None for tag in sure)
    for tag, name in zip(sure, ("palace.png", "sky.png"), strict=True):
        assert (photos / "sorted/해시태그" / (tag or "기타") / name).exists()
    assert (photos / "sorted/해시태그/기타/broken.jpg").exists()
    assert [problem.location for problem in report.problems] == [str(photos / "broken.jpg")]
    with (photos / "sorted/posts.csv").open(encoding="utf-8-sig", newline="") as table:
        rows = {(row["날짜"][:7], row["파일"].rpartition("/")[2]): row for row in csv.DictReader(table)}
    assert rows["2021-04", "palace.png"]["모델이 단 해시태그"] == rows["2021-04", "palace.png"]["해시태그"] == "#여행"
    assert rows["2021-05", "palace.png"]["해시태그"] == "#여행"
    assert {row["모델이 단 해시태그"] for post, row in rows.items() if post != ("2021-04", "palace.png")} == {""}


class Photos:
    """One post per photo, all with the same time and tags."""

    problems = ()

    def __init__(self, *paths, tags=()):
        self.paths, self.tags = paths, tags

    def posts(self):
        for path in self.paths:
            media = Media(path.name, str(path), "photo", path)
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (media,), tags=self.tags)


def sort(source, destination, **options):
    return organize(source, destination, **{"lang": "ko", "min_count": 1} | options)


def test_the_model_is_asked_once_a_post_and_what_it_cannot_read_stays_named(photos, monkeypatch):
    from hashtagger.recommend import Recommender

    asked = []
    recommend_each = Recommender.recommend_each

    def listening(self, images, **options):
        return recommend_each(self, (asked.append(image) or image for image in images), **options)

    monkeypatch.setattr(Recommender, "recommend_each", listening)
    (photos / "broken.jpg").write_bytes(b"not a photo")
    names = ("palace.png", "sky.png", "broken.jpg")
    first = sort(Photos(*(photos / name for name in names)), photos / "sorted")
    report = (photos / "sorted/report.json").read_bytes()
    assert [problem.location for problem in first.problems] == [str(photos / "broken.jpg")]
    again = sort(Photos(*(photos / name for name in names)), photos / "sorted")
    assert (photos / "sorted/report.json").read_bytes() == report
    (photos / "elsewhere").mkdir()
    for name in names:
        (photos / "elsewhere" / name).write_bytes((photos / name).read_bytes())
    again = sort(Photos(*(photos / "elsewhere" / name for name in names)), photos / "sorted")
    assert (again.posts, again.by_model) == (3, 1)
    assert [problem.location for problem in again.problems] == [str(photos / "broken.jpg")]
    assert asked == [photos / name for name in names]


def test_a_post_with_tags_that_is_met_without_them_is_not_the_models(photos):
    sort(Photos(photos / "palace.png", tags=("꽃",)), photos / "sorted")
    (photos / "copy.png").write_bytes((photos / "palace.png").read_bytes())
    report = sort(Photos(photos / "copy.png"), photos / "sorted")
    assert (report.posts, report.by_model) == (1, 0)
    assert [path.name for path in photos.glob("sorted/해시태그/*")] == ["꽃"]


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_what_was_sorted_without_the_model_is_tagged_by_a_run_with_it(photos, mode):
    source = Photos(photos / "palace.png")
    sort(source, photos / "sorted", tag_untagged=False, mode=mode)
    assert (photos / "sorted/해시태그/기타/palace.png").exists()
    assert sort(Photos() if mode == "move" else source, photos / "sorted", mode=mode).by_model == 1
    assert [path.name for path in photos.glob("sorted/해시태그/*/*.png")] == ["palace.png"]
    assert (photos / "sorted/해시태그/여행/palace.png").exists()
    assert "여행" in next(photos.glob("sorted/날짜/**/palace.png.xmp")).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["palace.png", "copy.png"])
def test_the_models_tag_gives_way_to_the_users(photos, name):
    sort(Photos(photos / "palace.png"), photos / "sorted")
    assert (photos / "sorted/해시태그/여행/palace.png").exists()
    (photos / "copy.png").write_bytes((photos / "palace.png").read_bytes())
    report = sort(Photos(photos / name, tags=("꽃",)), photos / "sorted")
    assert (report.posts, report.by_model) == (1, 0)
    assert [path.name for path in photos.glob("sorted/해시태그/*")] == ["꽃"]
    assert "여행" not in next(photos.glob("sorted/날짜/**/palace.png.xmp")).read_text(encoding="utf-8")


def test_what_is_no_photo_is_named_once(photos, monkeypatch):
    (photos / "source").mkdir()
    (photos / "source/broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    monkeypatch.chdir(photos)
    (problem,) = sort("source", photos / "sorted").problems
    assert (problem.location, problem.cause) == ("source/broken.jpg", "damaged: not a photo")
    asked = Photos(photos / "source/broken.jpg")
    (problem,) = sort(asked, photos / "again").problems
    assert (problem.location, problem.cause) == (str(photos / "source/broken.jpg"), "not a photo")


def test_without_a_model_all_but_its_tags_is_done(photos, monkeypatch):
    from hashtagger.recommend import Recommender

    def broken(*_arguments, **_options):
        raise WeightsError("damaged")

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "__init__", broken)
        report = sort(Photos(photos / "palace.png", photos / "sky.png"), photos / "sorted")
    assert [problem.cause for problem in report.problems] == ["damaged"]
    assert (photos / "sorted/해시태그/기타/palace.png").exists()
    assert sort(Photos(photos / "palace.png", photos / "sky.png"), photos / "sorted").by_model == 1


def test_tagging_can_be_turned_off(photos):
    class Untagged:
        problems = ()

        def posts(self):
            path = photos / "sky.png"
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (Media(path.name, str(path), "photo", path),))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"], tag_untagged=False)
    assert report.by_model == 0
    assert (photos / "sorted/해시태그/기타/sky.png").exists()
