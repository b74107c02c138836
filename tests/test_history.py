import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from hashtagger.history import History
from hashtagger.normalize import Normalizer
from hashtagger.posts.post import Post
from hashtagger.related import related
from hashtagger.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
DOG = VOCABULARY["dog"]


def test_without_history_nothing_changes() -> None:
    nobody = History([])
    scores = np.random.default_rng(0).dirichlet(np.ones(len(VOCABULARY)), size=3)
    assert nobody.spelling(DOG) == "강아지"
    assert nobody.companions(DOG, 10) == related("강아지", 10)
    np.testing.assert_allclose(nobody.adjust(scores, VOCABULARY), scores)


def test_the_users_spelling_wins_once_it_is_a_habit() -> None:
    assert History([["#댕댕이"]]).spelling(DOG) == "강아지"
    assert History([["#댕댕이"], ["댕댕이", "멍스타그램"], ["멍스타그램"], ["멍스타그램"]]).spelling(DOG) == "댕댕이"
    assert History([["댕댕이", "강아지"]] * 3).spelling(DOG) == "강아지"
    assert History([["제주강아지"]] * 3).spelling(DOG) == "강아지"
    spring = VOCABULARY["spring"]
    assert History([["봄나들이"]] * 3).spelling(spring) == "봄"


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("flower", "장미"),
        ("camping", "텐트"),
        ("dog", "푸들"),
        ("parenting", "이유식"),
        ("dog", "애견카페"),
        ("travel", "여행가고싶다"),
        ("exercise", "운동하는사람"),
        ("spring", "봄꽃"),
        ("wedding", "신혼여행"),
    ],
)
def test_a_word_about_a_label_is_not_a_spelling_of_it(key: str, tag: str) -> None:
    history = History([[tag, "일상"]] * 5)
    assert [history.spelling(label) for label in VOCABULARY] == [label.tag for label in VOCABULARY]
    assert tag in history.companions(VOCABULARY[key], 10)


def test_every_name_of_a_label_can_be_its_spelling() -> None:
    for label in VOCABULARY:
        for name in label.details["names"]:
            assert History([[name]] * 2).spelling(label) == name


def test_without_names_every_variant_of_a_label_can_be_its_spelling(tmp_path: Path) -> None:
    path = tmp_path / "fruit.toml"
    path.write_text('[[labels]]\nkey = "apple"\ntag = "사과"\nname = "Apple"\nvariants = ["애플"]\n', encoding="utf-8")
    normalizer = Normalizer(path)
    assert History([["애플"]] * 2, normalizer).spelling(normalizer.vocabulary["apple"]) == "애플"


def test_companions_are_the_users_own_first_and_never_spam() -> None:
    user = History([["#댕댕이", "#콩이네", "#맞팔"]] * 4 + [["#카페", "#콩이네"]])
    found = user.companions(DOG, 10)
    assert found[0] == "콩이네"
    assert "맞팔" not in found
    assert not {"강아지", "댕댕이"} & set(found)
    assert len(found) == 10
    assert len(set(found)) == 10


def test_a_favourite_tag_is_offered_only_beside_the_labels_it_was_used_with() -> None:
    user = History([["강아지", "콩이네"]] * 5 + [["카페", "우리동네라떼"]])
    assert "콩이네" in user.companions(DOG)
    assert "우리동네라떼" in user.companions(VOCABULARY["cafe"])
    assert "콩이네" not in user.companions(VOCABULARY["cafe"], 1000)
    assert user.companions(VOCABULARY["flower"]) == related("꽃", 10)


def test_companions_are_ranked_once_and_belong_to_the_caller(monkeypatch) -> None:
    user = History([["강아지", "콩이네"]])
    first = user.companions(DOG, 5)
    expected = list(first)
    first.clear()
    monkeypatch.setattr("hashtagger.history.bundled", None)
    assert user.companions(DOG, 5) == expected


def test_newer_habits_come_before_older_ones() -> None:
    user = History([["강아지", "옛날태그"]] * 3 + [["강아지", "요즘태그"]] * 3)
    found = user.companions(DOG, 10)
    assert found.index("요즘태그") < found.index("옛날태그")


def test_companions_are_the_same_in_every_process() -> None:
    """Python orders sets of strings differently in each process."""
    program = (
        "from hashtagger.history import History; from hashtagger.vocabulary import load_vocabulary as load\n"
        "past = History([['daily', 'dailylook', 'ootd', 'selca', 'selstagram', 'jbl', '일상']])\n"
        "print([past.companions(label, 20) for label in load()])"
    )
    ranked = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(ranked) == 1


def test_posts_without_the_label_do_not_age_a_habit() -> None:
    dogs, cafes = [["강아지", "콩이네"]] * 4, [["카페", "우리동네라떼"]] * 30
    assert History(dogs + cafes).companions(DOG, 10) == History(dogs).companions(DOG, 10)


def test_a_prior_shifts_probabilities_by_its_strength() -> None:
    posts = [["멍스타그램"]] * 8 + [["카페투어"]]
    scores = np.full((1, len(VOCABULARY)), 1 / len(VOCABULARY), dtype=np.float32)
    dog = VOCABULARY.index("dog")
    shares = [float(History(posts, strength=s).adjust(scores, VOCABULARY)[0, dog]) for s in (0, 0.5, 1)]
    assert shares[0] == pytest.approx(1 / len(VOCABULARY))
    assert shares[0] < shares[1] < shares[2] < 0.5
    out = History(posts).adjust(scores, VOCABULARY)
    assert out.dtype == np.float32
    assert out.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("strength", [-3, float("nan"), float("inf")])
def test_an_invalid_strength_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        History([], strength=strength)


def test_a_single_row_and_impossible_scores_pass() -> None:
    zeros = np.zeros(len(VOCABULARY))
    assert not History([["강아지"]]).adjust(zeros, VOCABULARY).any()


def test_from_posts_orders_by_time() -> None:
    def post(day: int, *tags: str) -> Post:
        return Post(taken_at=datetime(2021, 5, day, tzinfo=timezone.utc), media=(), tags=tags)

    posts = [post(9, "강아지", "요즘태그"), post(1, "강아지", "옛날태그")]
    found = History.from_posts(posts).companions(DOG, 30)
    assert found.index("요즘태그") < found.index("옛날태그")
    assert len(History.from_posts(posts)) == 2


def test_a_single_tag_is_not_split_into_letters():
    assert History.of("산책").companions(DOG, 30) == History.of(["산책"]).companions(DOG, 30)


def test_history_of_tags_of_posts_and_of_posts_tags():
    label = load_vocabulary()["dog"]
    tags = [["댕댕이", "산책"], ["댕댕이"], ["카페"]]
    posts = [Post(datetime(2024, 1, day, tzinfo=timezone.utc), (), "", tuple(t)) for day, t in enumerate(tags, start=1)]
    history = History(tags)
    assert History.of(history) is history
    for past in (tags, tuple(tags), posts, posts[::-1]):
        assert len(History.of(past)) == 3
        assert History.of(past).spelling(label) == "댕댕이"
    assert History.of(["댕댕이", "댕댕이", "산책"]).spelling(label) == "댕댕이"
    assert len(History.of([])) == 0


def test_a_string_is_a_post_of_one_tag() -> None:
    assert History(["#댕댕이"] * 3).spelling(DOG) == History([["#댕댕이"]] * 3).spelling(DOG) == "댕댕이"


def test_one_string_is_not_a_list_of_posts() -> None:
    with pytest.raises(TypeError, match=r"give the tags of each post, \[\['댕댕이'\]\], not a string"):
        History("댕댕이")
