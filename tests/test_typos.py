import pytest

from hashtagger.typos import TypoIndex, one_slip


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        ("abc", "abc", True),
        ("abc", "abd", True),
        ("abc", "ab", True),
        ("abc", "xabc", True),
        ("abc", "acb", True),
        ("abc", "cab", False),
        ("abc", "a", False),
        ("abcd", "badc", False),
        ("", "a", True),
    ],
)
def test_one_slip(a: str, b: str, near: bool) -> None:
    assert one_slip(a, b) is near
    assert one_slip(b, a) is near


def test_the_index_finds_what_comparing_with_each_word_finds() -> None:
    index = TypoIndex(["강아지", "고양이", "떡볶이"])
    assert index.nearest("강아치") == "강아지"
    assert index.nearest("떡볶미") == "떡볶이"
    assert index.nearest("고양") is None
    assert index.nearest("떡볶") is None
    assert index.nearest("망아디") is None
    assert index.nearest("아주아주아주아주긴것") is None
