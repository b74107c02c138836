from datetime import datetime, timezone
from zipfile import ZipFile

import pytest

from hashtagger.organize import organize
from hashtagger.posts.post import Media, Post


@pytest.fixture
def photos(tmp_path):
    from PIL import Image
    from sklearn.datasets import load_sample_images

    palace = load_sample_images().images[0]
    Image.fromarray(palace[:300, :300]).save(tmp_path / "palace.png")
    Image.fromarray(palace[:200, 400:]).save(tmp_path / "sky.png")  # which is no tag's
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
            yield Post(when, (Media("palace.png", str(paths[0]), "photo", paths[0]),), tags=("여행",))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"])
    assert report.by_model == sum(tag is not None for tag in sure)
    for tag, name in zip(sure, ("palace.png", "sky.png"), strict=True):
        assert (photos / "sorted/해시태그" / (tag or "기타") / name).exists()
    assert (photos / "sorted/해시태그/기타/broken.jpg").exists()
    assert [problem.location for problem in report.problems] == [str(photos / "broken.jpg")]


def test_tagging_can_be_turned_off(photos):
    class Untagged:
        problems = ()

        def posts(self):
            path = photos / "sky.png"
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (Media(path.name, str(path), "photo", path),))

    report = organize(Untagged(), photos / "sorted", lang="ko", min_count=1, by=["tag"], tag_untagged=False)
    assert report.by_model == 0
    assert (photos / "sorted/해시태그/기타/sky.png").exists()
