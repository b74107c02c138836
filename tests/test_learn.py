import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashtagger.cli.learn import command
from hashtagger.errors import VocabularyError
from hashtagger.history import History
from hashtagger.learn import Proposal, propose
from hashtagger.lexicon import add_user_variants
from hashtagger.normalize import Normalizer
from hashtagger.organize import organize
from hashtagger.posts.post import Post
from hashtagger.vocabulary import load_vocabulary

POSTS = [["강아지", "콩이네", "일상"]] * 4 + [["카페", "일상"]] * 6 + [["강아지", "두번뿐"]] * 2


def test_a_tag_beside_one_label_is_proposed() -> None:
    assert propose(POSTS, Normalizer()) == [Proposal("dog", (("콩이네", 4),))]


def test_tags_used_equally_often_are_proposed_in_the_order_of_their_first_use() -> None:
    names = ["뭉치군", "초롱군", "방울군", "토비군", "구름군", "별님군", "달님군", "해님군"]
    assert propose([["강아지", *names]] * 3 + [["카페"]] * 6, Normalizer()) == [
        Proposal("dog", tuple((name, 3) for name in names))
    ]


@pytest.mark.parametrize("dogs", [4, 6, 9, 10])
def test_a_pet_account_gets_proposals_too(dogs: int) -> None:
    posts = [["강아지", "뭉치군", "일상"]] * dogs + [["카페", "일상"]] * (10 - dogs)
    proposed = {tag for proposal in propose(posts, Normalizer()) for tag, _ in proposal.tags}
    assert proposed == {"뭉치군"}


@pytest.mark.parametrize("tag", ["일상", "데일리", "daily", "일상스타그램", "주말", "부산", "힐링"])
def test_a_word_that_goes_with_many_labels_is_not_proposed(tag: str) -> None:
    assert propose([["강아지", tag]] * 5 + [["카페"]] * 5, Normalizer()) == []


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
    before = 'exclude = ["카페투어"]  # a cafe\n\n[variants]\n# ours\ncat = ["나비"]\n'
    user.write_text(before, encoding="utf-8")
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
    assert set(before.splitlines()) < set(user.read_text(encoding="utf-8").splitlines())


def test_json_asks_nothing(posts: Path) -> None:
    result = CliRunner().invoke(command, [str(posts), "--json"])
    assert json.loads(result.stdout) == [{"key": "dog", "tags": [{"tag": "콩이네", "posts": 4}]}]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# mine",
        '[variants]\ndog = ["콩이"]',
        'exclude = [] # none\n [ variants ] # names\n"dog" = [ # pets\n    "콩이", # black\n    "보리",\n]\ncat = []\n',
        "[variants]\n# dog = [\n'dog' = []\n",
        '[variants]\ncat = ["나비"]',
    ],
)
def test_adding_changes_nothing_else_of_the_file(tmp_path: Path, before: str) -> None:
    user = tmp_path / "mine.toml"
    user.write_text(before, encoding="utf-8")
    known = [tag for tag in ("콩이", "보리", "나비") if tag in before]
    add_user_variants(user, {"dog": ["콩이네", "콩이"], "cat": ["나비네"]})
    after = user.read_text(encoding="utf-8")
    rest = iter(after)
    assert all(char in rest for char in before)
    mine = Normalizer(user=user)
    assert [mine.normalize(tag).rule for tag in (*known, "콩이네", "나비네", "콩이")] == ["variant"] * (len(known) + 3)
    add_user_variants(user, {"dog": ["콩이네"]})
    assert user.read_text(encoding="utf-8") == after


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text("# mine", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        add_user_variants(user, {"dog": ["콩이네\ud800"]})
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("mine.toml", "# mine")]


@pytest.mark.parametrize("before", ['variants = { dog = ["콩이"] }', 'variants.dog = ["콩이"]'])
def test_a_file_that_cannot_be_added_to_is_unchanged_and_reported(tmp_path: Path, before: str) -> None:
    user = tmp_path / "mine.toml"
    user.write_text(before, encoding="utf-8")
    with pytest.raises(VocabularyError, match=r'mine\.toml: cannot add .*"dog" = \["콩이네"\]'):
        add_user_variants(user, {"dog": ["콩이네"]})
    assert user.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [user]


@pytest.mark.parametrize(
    "content",
    [
        "[variants]\n2020 = 3",
        "[variants]\nunknown = ['x']",
        "= broken",
        "exclude = 5",
        'exclude = "산책"',
        '[variants]\ndog = "초코"',
        '[variant]\ndog = ["초코"]',
        'excluded = ["산책"]',
    ],
)
def test_a_wrong_user_file_is_named(tmp_path: Path, content: str) -> None:
    user = tmp_path / "wrong.toml"
    user.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError, match=r"wrong\.toml: "):
        Normalizer(user=user)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('[variants]\ndog = ["콩이"]\nexclude = ["카페투어"]', r"move exclude above \[variants\]$"),
        ("variants = 1", "variants is not a table of lists of tags$"),
    ],
)
def test_errors_in_a_user_file_say_what_to_change(tmp_path: Path, content: str, cause: str) -> None:
    user = tmp_path / "wrong.toml"
    user.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError, match=cause):
        Normalizer(user=user)


def test_a_label_whose_words_are_not_a_list_is_named(tmp_path: Path) -> None:
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


def test_a_key_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    user, vocabulary = tmp_path / "mine.toml", tmp_path / "fruit.toml"
    vocabulary.write_text('[[labels]]\nkey = "red.apple"\ntag = "사과"\nname = "Apple"\n', encoding="utf-8")
    add_user_variants(user, {"red.apple": ["풋사과"]})
    assert Normalizer(vocabulary, user).normalize("풋사과").canonical == ("red.apple",)
    user.write_text('[variants]\n"사과" = ["풋사과"]\n', encoding="utf-8")
    assert Normalizer(vocabulary, user).normalize("풋사과").canonical == ("red.apple",)


def test_a_missing_folder_is_reported_before_any_question(posts: Path, tmp_path: Path) -> None:
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


def test_proposals_from_several_files_are_asked_together_until_q(tmp_path: Path) -> None:
    more = [[tag.replace("콩이네", "나비네").replace("강아지", "고양이") for tag in tags] for tags in POSTS]
    user, paths = tmp_path / "mine.toml", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, posts in zip(paths, (POSTS, more), strict=True):
        path.write_text("\n".join(json.dumps({"tags": tags}) for tags in posts), encoding="utf-8")
    result = CliRunner().invoke(command, [*map(str, paths), "--user", str(user)], input="y\nq\n")
    assert result.exit_code == 0, result.output
    assert "1/2  #콩이네" in result.output
    assert "2/2  #나비네" in result.output
    assert user.read_text(encoding="utf-8") == '[variants]\n"dog" = ["콩이네"]\n'


def test_what_was_learned_names_folders_and_makes_habits(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('exclude = ["카페투어"]\n[variants]\ndog = ["콩이네"]\n', encoding="utf-8")

    class Posts:
        problems: tuple[()] = ()

        def posts(self) -> Iterator[Post]:
            for day, tag in enumerate(("콩이네", "콩이네", "카페투어", "카페투어"), start=1):
                yield Post(datetime(2024, 5, day, tzinfo=timezone.utc), (), tag, (tag,))

    assert organize(Posts(), tmp_path / "sorted", user=user, tag_untagged=False).tags == 2
    rows = (tmp_path / "sorted" / "posts.csv").read_text(encoding="utf-8-sig")
    assert "강아지" in rows
    assert "카페투어" in rows
    dog = load_vocabulary()["dog"]
    assert History.from_posts(Posts().posts(), Normalizer(user=user)).spelling(dog) == "콩이네"
    assert History.of(["콩이네"] * 3, Normalizer(user=user)).spelling(dog) == "콩이네"
    assert History.of(["콩이네"] * 3).spelling(dog) == "강아지"
