from datetime import datetime, timezone
from zipfile import ZipFile

import pytest

from hashtagger.organize import organize
from hashtagger.posts.post import Media, Post


@pytest.fixture
def photos(tmp_path):
    from PIL import Image
    from sklearn.datasets import load_sample_images

    images = load_sample_images()
    for name, image in zip(("china.png", "flower.png"), images.images, strict=True):
        # Of the palace what the network is surest of, of the flower all, which it is not sure of.
        Image.fromarray(image[:300, :300] if name == "china.png" else image).save(tmp_path / name)
    return tmp_path


def test_posts_without_tags_get_the_models_where_it_is_sure(photos):
    from hashtagger.recommend import Recommender

    paths = [photos / "china.png", photos / "flower.png"]
    sure = [answer[0].label.tag if answer else None for answer in Recommender().recommend(paths, top_k=1)]
    assert sure == ["여행", None]
    with ZipFile(photos / "export.zip", "w") as archive:
        archive.write(paths[1], "flower.png")
    (photos / "broken.jpg").write_bytes(b"not a photo")

    class Untagged:
        problems = ()

        def posts(self):
            when = datetime(2021, 4, 1, tzinfo=timezone.utc)
            yield Post(when, (Media("china.png", str(paths[0]), "photo", paths[0]),))
            zipped = Media("flower.png", "export.zip!flower.png", "photo", None, photos / "export.zip", "flower.png")
            yield Post(when, (zipped,))
            broken = photos / "broken.jpg"
            yield Post(when, (Media("broken.jpg", str(broken), "photo", broken),))
            yield Post(when, (Media("china.png", str(paths[0]), "photo", paths[0]),), tags=("여행",))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"])
    assert report.by_model == sum(tag is not None for tag in sure)
    for tag, name in zip(sure, ("china.png", "flower.png"), strict=True):
        assert (photos / "sorted/해시태그" / (tag or "기타") / name).exists()
    assert (photos / "sorted/해시태그/기타/broken.jpg").exists()
    assert [problem.location for problem in report.problems] == [str(photos / "broken.jpg")]


def test_tagging_can_be_turned_off(photos):
    class Untagged:
        problems = ()

        def posts(self):
            path = photos / "flower.png"
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (Media(path.name, str(path), "photo", path),))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"], tag_untagged=False)
    assert report.by_model == 0
    assert (photos / "sorted/해시태그/기타/flower.png").exists()
