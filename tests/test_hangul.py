import re

import pytest

from hashtagger.hangul import from_keys, join_jamo, romanization_pattern, spell, to_keys, undrawl


@pytest.mark.parametrize(
    ("korean", "keys"),
    [
        ("강아지", "rkddkwl"),
        ("떡볶이", "EjrqhRdl"),
        ("괜찮아", "rhoscksgdk"),
        ("의자", "dmlwk"),
        ("넋이", "sjrtdl"),
        ("꿇었왜", "RnfgdjTdho"),
    ],
)
def test_keys_and_back(korean: str, keys: str) -> None:
    assert to_keys(korean) == keys
    assert from_keys(keys) == korean


def test_shift_without_effect_is_ignored() -> None:
    assert from_keys("rKddKwL") == "강아지"


@pytest.mark.parametrize("english", ["hello", "dog1", "travel", ""])
def test_english_words_are_not_keystrokes_of_korean(english: str) -> None:
    assert from_keys(english) is None


def test_spelling_and_joining() -> None:
    assert spell("봄a") == "ㅂㅗㅁa"
    assert join_jamo("ㄱㅕㄹㅎㅗㄴ") == "결혼"
    assert join_jamo("카ㅍㅔ") == "카페"
    assert join_jamo("꼬ㅊ") == "꽃"
    assert join_jamo("ㅋㅋㅋ") == "ㅋㅋㅋ"
    assert join_jamo("강dkwl") == "강아지"


@pytest.mark.parametrize(
    ("drawn", "short"), [("가앙아지", "강아지"), ("여르음", "여름"), ("육아아", "육아"), ("강아지", "강아지")]
)
def test_undrawl(drawn: str, short: str) -> None:
    assert undrawl(drawn) == short


def test_romanization() -> None:
    for spelling in ("gangaji", "kangaji", "gang-a-ji", "gangajee"):
        assert re.fullmatch(romanization_pattern("강아지"), spelling), spelling
    assert not re.fullmatch(romanization_pattern("강아지"), "gangnam")
