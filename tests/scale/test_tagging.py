import threading
import time

import pytest

from hashtagger.recommend import Recommender
from hashtagger.scale.inputs import list_photos
from hashtagger.scale.tagging import ahead, tag


@pytest.fixture(scope="module")
def recommender(weights):
    return Recommender(weights=weights, device="cpu")


def test_rows_say_what_recommend_says_in_order(recommender, pile):
    photos = list(list_photos([str(pile)]))
    rows = list(tag(recommender, photos, batch=8, threads=3))
    assert [row["photo"] for row in rows] == photos
    expected = recommender.recommend_each(photos)
    guesses = recommender.recommend_each(photos, top_k=1, threshold=0)
    failed = spoke = 0
    for row, (_photo, found), (_same, best) in zip(rows, expected, guesses, strict=True):
        if isinstance(found, list):
            assert [tag["tag"] for tag in row["tags"]] == [r.tag for r in found]
            assert [tag["key"] for tag in row["tags"]] == [r.key for r in found]
            assert [tag["score"] for tag in row["tags"]] == pytest.approx([r.score for r in found], abs=2e-4)
            assert row["best"]["key"] == best[0].key
            assert row["error"] is None
            spoke += bool(found)
        else:
            failed += 1
            assert (row["tags"], row["best"], row["error"]) == ([], None, str(found))
    assert failed == 7
    assert 0 < spoke < 143


def test_a_part_gets_the_scores_that_it_has_in_the_whole(recommender, pile):
    photos = list(list_photos([str(pile)]))
    whole = list(tag(recommender, photos, batch=8, threads=2))
    assert list(tag(recommender, photos[64:], batch=8, threads=1)) == whole[64:]


def test_decoding_goes_ahead_of_the_network_but_not_far(recommender, pile, monkeypatch):
    photos = list(list_photos([str(pile)]))
    prepared, seen, most = [], 0, 0
    original = recommender.prepare

    def prepare(photo):
        prepared.append(threading.current_thread().name)
        return original(photo)

    scored = recommender.score_pixels

    def score_pixels(pixels):
        nonlocal seen, most
        # Wait until the next photos are decoded: if decoding did not run ahead, this would never end.
        while len(prepared) < min(seen + 2 * len(pixels), 100):
            time.sleep(0.001)
        seen += len(pixels)
        most = max(most, len(prepared) - seen)
        return scored(pixels)

    monkeypatch.setattr(recommender, "prepare", prepare)
    monkeypatch.setattr(recommender, "score_pixels", score_pixels)
    assert len(list(tag(recommender, photos, batch=8, threads=2))) == 150
    assert threading.current_thread().name not in prepared
    # At most two batches wait, besides unreadable photos and the current batch.
    assert most <= 3 * 8 + 7


def test_ahead_is_bounded_lazy_and_ends_its_threads():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = ahead(lambda number: number * number, items(), threads=4, window=10)
    assert taken == []
    assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 4)]
    assert len(taken) == 13
    before = threading.active_count()
    results.close()
    assert threading.active_count() < before
    assert list(ahead(str, [], threads=1, window=1)) == []


def test_an_error_that_is_no_photos_fault_comes_out():
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 // number, range(5), threads=2, window=2))


def test_a_batch_of_bad_photos_alone(recommender, tmp_path):
    rows = list(tag(recommender, [str(tmp_path / f"{n}.jpg") for n in range(5)], batch=2, threads=2))
    assert [row["error"].rpartition(": ")[2] for row in rows] == ["no such file or folder"] * 5
    assert [row["best"] for row in rows] == [None] * 5
