import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashtagger.normalize import normalize
from hashtagger.tagtext import clean, extract_tags, parts

# Plain random text rarely contains the hard cases: jamo of all kinds, fillers, joiners, marks, emoji, hashes.
HARD = st.sampled_from("#＃﹟ㅋㅎㅠㅜㅡᄏ가강ᄀ\u1161\u11a8ㄱㅏ_ㅤ\u200d\ufe0f\u0301\u2800ﬁＡｶﾞ🐶🇰가がかﾞ\u3099é①ⓐ٣Ⅷİßǅ ̈.-")
TEXT = st.one_of(st.text(), st.text(HARD), st.lists(st.one_of(st.text(max_size=3), HARD)).map("".join))


@pytest.mark.parametrize(
    ("tag", "cleaned"),
    [
        ("#강아지", "강아지"),
        (unicodedata.normalize("NFD", "강아지"), "강아지"),
        ("강" + unicodedata.normalize("NFD", "아지"), "강아지"),
        ("＃Cafe\u200b", "cafe"),
        ("﹟카페ㅤ", "카페"),
        ("_서울_카페_", "서울_카페"),
        ("꽃🌸스타그램❤️", "꽃스타그램"),
        ("운동💪🏻🇰🇷", "운동"),
        ("카페ㅋㅋㅋ", "카페"),
        ("카페ㅠㅠ_", "카페"),
        ("ㅋㅋㅋ", "ㅋㅋㅋ"),
        ("𝐝𝐨𝐠", "dog"),
        ("ᴅᴏɢ", "dog"),
        ("ﾈｲﾙ", "ネイル"),
        ("##a#b", "a#b"),
        ("#🐶", "🐶"),
        ("카페!!", "카페"),
        ("#\u200b", ""),
        ("#ㅤ\ufe0f", ""),
    ],
)
def test_clean(tag: str, cleaned: str) -> None:
    assert clean(tag) == cleaned


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("오늘 #댕댕이랑 #카페", ["댕댕이랑", "카페"]),
        ("#a#b ##c ＃디", ["a", "b", "c", "디"]),
        ("(#카페) #여행, #꽃!", ["카페", "여행", "꽃"]),
        ("# 카페 #1 # #", []),
        ("#2021년 #ootd_데일리", ["2021년", "ootd_데일리"]),
        ("#멍스타그램🐶 좋아", ["멍스타그램🐶"]),
        ("#카페\u200b#여행", ["카페", "여행"]),
        ("#카페\u2061\u2062 #\u2063여행\u2064 #꽃-", ["카페", "여행", "꽃"]),
        ("전화는 #\ufe0f\u20e3 로 #\u20e3 #강아지", ["강아지"]),
        (unicodedata.normalize("NFD", "#고양이 그림"), ["고양이"]),
        ("", []),
    ],
)
def test_extract_tags(caption: str, tags: list[str]) -> None:
    assert extract_tags(caption) == tags


@given(TEXT)
@example("ᄏᄏ")
@example("가\u0301ㅋ")
def test_cleaning_is_idempotent_nfc_and_loses_no_letters(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    if any(char.isalpha() and char not in "ㅤﾠᅟᅠ" for char in text):
        assert cleaned


@given(TEXT)
def test_any_text_is_answered(text: str) -> None:
    found = normalize(text)
    assert found.original == text
    assert 0 <= found.score <= 1
    assert unicodedata.is_normalized("NFC", found.tag)
    again = normalize(found.tag)
    assert again.tag == found.tag
    assert again.canonical[:1] == found.canonical[:1]


@given(TEXT)
def test_found_tags_are_tags(text: str) -> None:
    for tag in extract_tags(text):
        assert tag
        assert not set(tag) & set("#＃ \n,.")


def test_parts_are_clean_and_no_longer_glued():
    assert list(parts(["#강아지#산책", "ＤＯＧ"])) == ["강아지", "산책", "dog"]
