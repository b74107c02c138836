import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashtagger.authors import group_by_author
from hashtagger.errors import VocabularyError
from hashtagger.normalize import Normalizer
from hashtagger.related import BUNDLED, RelatedTable, Spellings, bundled, is_spam, learn, related
from hashtagger.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def normalizer() -> Normalizer:
    return Normalizer()


def test_the_packed_table_knows_every_label() -> None:
    spellings = Spellings(Normalizer())
    for label in load_vocabulary():
        found = related(label.tag)
        assert len(found) == 10, label.key
        assert not [tag for tag in found if is_spam(tag)]
        assert not [(a, b) for i, a in enumerate(found) for b in [label.tag, *found[:i]] if spellings.same(a, b)]
    assert "멍스타그램" in related("#강아지")
    assert related("강아지", k=3) == related("강아지")[:3]
    with pytest.raises(ValueError, match="k must be 0 or more"):
        related("강아지", k=-1)


def test_the_packed_table_is_small_and_carded() -> None:
    assert BUNDLED.stat().st_size < 3_000_000
    assert bundled().card["posts"] > 10_000
    assert BUNDLED.with_name("related_ko.md").is_file()


def test_a_rare_variant_is_answered_as_its_label_and_nonsense_not_at_all() -> None:
    assert related("댕댕이랑") == related("강아지")
    assert related("꾸루꾸루꾸꾸") == []
    assert related("") == []


@pytest.mark.parametrize(
    "tag",
    [
        "맞팔",
        "선팔하면맞팔",
        "좋아요반사",
        "#likeforlikes",
        "F4F",
        "소통해요",
        "협찬",
        "전문의문의",
        "いいね返し",
        "gainpost",
    ],
)
def test_spam(tag: str) -> None:
    assert is_spam(tag)
    assert related(tag) == []


@pytest.mark.parametrize(
    "tag",
    [
        "강아지",
        "일상",
        "좋은글",
        "봄",
        "likeness",
        "여행스타그램",
        "전문의",
        "의사소통",
        "세일러문",
        "공구함",
        "반사판",
    ],
)
def test_no_spam(tag: str) -> None:
    assert not is_spam(tag)


def test_spellings(normalizer: Normalizer) -> None:
    same = Spellings(normalizer).same
    assert same("Dog", "dog")
    assert same("dog", "dogs")
    assert same("멍스타그램", "멍스타")
    assert same("카페", "까페")
    assert not same("댕댕이", "멍멍이")
    assert not same("일상", "데일리")


def test_learning_weighs_authors_not_posts(normalizer: Normalizer) -> None:
    authors = [["강아지", "산책", "일상", f"a{i}"] for i in range(10)]
    others = [["고양이", "일상", f"b{i}"] for i in range(10)]
    shop = [["강아지", "애견샵", "shop1", "shop2", "shop3", "shop4", "shop5"] for _ in range(15)]
    table = learn(authors + others + shop, normalizer, {})
    assert table.of("강아지") == ["산책"]
    assert not {"애견샵", "shop1"} & table.rows.keys()
    # 일상 is used with everything, so it is not related to cats; if only cat posts have it, it is.
    assert table.of("고양이") == []
    assert learn([*others, *([f"c{i}"] for i in range(10))], normalizer, {}).of("고양이") == ["일상"]


def test_learning_leaves_out_spam_and_spellings(normalizer: Normalizer) -> None:
    posts = [["#멍스타그램", "#맞팔", "#강아지", "#2021", f"#x{i}", *["#멍스타"] * (i % 2)] for i in range(25)] + [
        ["#카페"]
    ] * 25
    assert learn(posts, normalizer, {}).of("강아지") == ["멍스타그램"]


def test_authors_are_told_by_their_rare_tags() -> None:
    mine = [["일상", "r1", "r2", "r3", "r4", f"m{i}"] for i in range(3)]
    groups = group_by_author([*mine, ["일상", "r1"], ["일상"]])
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 3


def test_near_copies_are_one_authors_however_many() -> None:
    shop = [[*(f"s{tag}" for tag in range(12)), f"new{i}"] for i in range(30)]
    # Ten tags that everyone writes and ten of their own: different people.
    people = [[*(f"p{tag}" for tag in range(10)), *(f"o{i}-{tag}" for tag in range(10))] for i in range(30)]
    short = [["강아지", "멍스타그램", "반려견"]] * 30
    groups = group_by_author([*shop, *people, *short])
    assert [len(set(groups[i : i + 30])) for i in (0, 30, 60)] == [1, 30, 30]


def test_a_table_survives_saving(tmp_path: Path) -> None:
    path = tmp_path / "t.txt.gz"
    table = RelatedTable({"posts": 1}, {"강아지": "댕댕이 산책"})
    table.save(path)
    first = path.read_bytes()
    loaded = RelatedTable.load(path)
    assert (loaded.card, loaded.of("#강아지", 1)) == ({"posts": 1}, ["댕댕이"])
    loaded.save(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", *(gzip.compress(text, mtime=0) for text in (b"no json", b"{}\nno tab"))]
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.txt.gz"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=r"broken\.txt\.gz"):
        RelatedTable.load(path)


def test_related_build(tmp_path: Path) -> None:
    from hashtagger.cli.related_build import command

    posts = tmp_path / "posts.jsonl"
    lines = [{"tags": ["#강아지", "#산책", f"#{i}a"], "date": "2021-05-0" + str(1 + i % 9)} for i in range(12)]
    lines += [{"tags": ["#카페"]}] * 5
    posts.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    output = tmp_path / "out.txt.gz"
    result = CliRunner().invoke(command, [str(posts), "--output", str(output), "--source", "made up"])
    assert result.exit_code == 0, result.output
    assert RelatedTable.load(output).of("강아지") == ["산책"]
    card = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "made up (17 posts, 2021-05-01 to 2021-05-09)" in card
    assert "2016" not in card


def test_posts_without_dates_have_none_on_the_card(tmp_path: Path) -> None:
    from hashtagger.cli.related_build import command

    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"tags": ["#카페"]}', encoding="utf-8")
    result = CliRunner().invoke(command, [str(posts), "--output", str(tmp_path / "out.gz"), "--source", "made up"])
    assert result.exit_code == 0, result.output
    assert "made up (1 posts)" in (tmp_path / "out.md").read_text(encoding="utf-8")
