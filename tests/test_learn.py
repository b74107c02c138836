import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashtagger.cli.learn import command
from hashtagger.errors import VocabularyError
from hashtagger.learn import Proposal, propose
from hashtagger.lexicon import add_user_variants
from hashtagger.normalize import Normalizer

POSTS = [["강아지", "콩이네", "일상"]] * 4 + [["카페", "일상"]] * 6 + [["강아지", "두번뿐"]] * 2


def test_a_tag_beside_one_label_is_proposed() -> None:
    assert propose(POSTS, Normalizer()) == [Proposal("dog", (("콩이네", 4),))]


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(json.dumps({"tags": tags}) for tags in POSTS), encoding="utf-8")
    return path


def test_nothing_is_learned_without_a_yes(posts: Path, tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    result = CliRunner().invoke(command, [str(posts), "--user", str(user)], input="n\n")
    assert result.exit_code == 0, result.output
    assert not user.exists()
    assert Normalizer().normalize("콩이네").canonical == ()


def test_what_is_confirmed_is_known_from_then_on(posts: Path, tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('exclude = ["카페투어"]\n[variants]\ncat = ["나비"]\n', encoding="utf-8")
    result = CliRunner().invoke(command, [str(posts), "--user", str(user)], input="y\n")
    assert result.exit_code == 0, result.output
    mine = Normalizer(user=user)
    assert mine.normalize("#콩이네").canonical == ("dog",)
    assert mine.normalize("우리콩이네").canonical == ("dog",)
    assert mine.normalize("나비").canonical == ("cat",)
    assert mine.normalize("카페투어").canonical == ()
    assert mine.normalize("카페투어").rule == "excluded"
    again = CliRunner().invoke(command, [str(posts), "--user", str(user)])
    assert "콩이네" not in again.output


def test_json_asks_nothing(posts: Path) -> None:
    result = CliRunner().invoke(command, [str(posts), "--json"])
    assert json.loads(result.stdout) == [{"key": "dog", "tags": [{"tag": "콩이네", "posts": 4}]}]


@pytest.mark.parametrize(
    "content",
    [
        "variants = 3",
        "[variants]\nunknown = ['x']",
        "= broken",
        "exclude = 5",
        'exclude = "산책"',
        '[variants]\ndog = "초코"',
    ],
)
def test_a_wrong_user_file_is_named(tmp_path: Path, content: str) -> None:
    user = tmp_path / "wrong.toml"
    user.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError, match="wrong|unknown"):
        Normalizer(user=user)


def test_a_label_whose_words_are_no_list_is_named(tmp_path: Path) -> None:
    vocabulary = tmp_path / "fruit.toml"
    vocabulary.write_text(
        '[[labels]]\nkey = "apple"\ntag = "사과"\nname = "Apple"\nwords = "풋사과"\n', encoding="utf-8"
    )
    with pytest.raises(VocabularyError, match=r"apple\.words"):
        Normalizer(vocabulary)


def test_a_labels_tag_counts_in_compounds_whatever_else_of_it_is_shy(tmp_path: Path) -> None:
    vocabulary = tmp_path / "fruit.toml"
    vocabulary.write_text('[[labels]]\nkey = "apple"\ntag = "사과"\nname = "Apple"\nshy = ["애플"]\n', encoding="utf-8")
    assert Normalizer(vocabulary).normalize("청송사과").canonical == ("apple",)


def test_a_missing_user_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="absent"):
        Normalizer(user=tmp_path / "absent.toml")


def test_a_pets_name_is_known_in_all_its_forms(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('\ufeff[variants]\ndog = ["봄이"]\n', encoding="utf-8")
    mine = Normalizer(user=user)
    assert {mine.normalize(tag).canonical for tag in ("봄이", "봄이스타그램", "봄이일상", "봄이네")} == {("dog",)}


def test_a_pets_name_is_not_in_the_words_it_is_short_or_common_in(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('[variants]\ndog = ["초코", "콩"]\n', encoding="utf-8")
    mine = Normalizer(user=user)
    assert {mine.normalize(tag).canonical for tag in ("초코", "콩", "초코스타그램", "콩스타그램", "초코랑")} == {
        ("dog",)
    }
    assert {mine.normalize(tag).canonical for tag in ("초코케이크", "콩국수", "콩나물국밥")} == {()}


def test_an_excluded_tag_is_excluded_in_its_family_too(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('exclude = ["여행"]\n', encoding="utf-8")
    mine = Normalizer(user=user)
    assert mine.normalize("여행").rule == "excluded"
    assert mine.normalize("여행스타그램").canonical == ()


def test_a_key_of_two_words_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    user, vocabulary = tmp_path / "mine.toml", tmp_path / "fruit.toml"
    vocabulary.write_text('[[labels]]\nkey = "red apple"\ntag = "사과"\nname = "Apple"\n', encoding="utf-8")
    add_user_variants(user, {"red apple": ["풋사과"]})
    assert Normalizer(vocabulary, user).normalize("풋사과").canonical == ("red apple",)


def test_a_folder_that_is_missing_is_told_before_any_question(posts: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(posts), "--user", str(tmp_path / "no" / "mine.toml")])
    assert isinstance(result.exception, VocabularyError)
    assert str(tmp_path / "no") in str(result.exception)
    assert result.output == ""


def test_what_was_confirmed_before_stopping_stays(tmp_path: Path) -> None:
    path, user = tmp_path / "posts.jsonl", tmp_path / "mine.toml"
    more = [[tag.replace("콩이네", "나비네").replace("강아지", "고양이") for tag in tags] for tags in POSTS]
    path.write_text("\n".join(json.dumps({"tags": tags}) for tags in (*POSTS, *more)), encoding="utf-8")
    result = CliRunner().invoke(command, [str(path), "--user", str(user)], input="y\n")
    assert result.exit_code != 0
    mine = Normalizer(user=user)
    assert mine.normalize("콩이네").canonical == ("dog",)
    assert mine.normalize("나비네").canonical != ("cat",)
