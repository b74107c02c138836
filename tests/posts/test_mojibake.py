import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.posts.mojibake import decoded, repair


def damaged(text: str) -> str:
    return text.encode().decode("latin-1")


@given(st.text(st.characters(codec="utf-8")))
def test_what_the_export_does_is_undone(text):
    assert repair(damaged(text)) == text


@given(st.text(st.characters(codec="utf-8", min_codepoint=256), min_size=1))
def test_text_that_is_right_already_stays(text):
    assert repair(text) == text


@pytest.mark.parametrize("text", ["café", "résumé naïve", "강아지", "plain", "", "½ price", "ñ", "Ünïcödé"])
def test_right_text_with_western_letters_stays(text):
    assert repair(text) == text


def test_half_a_character_at_the_end_costs_only_itself():
    assert repair(damaged("강아지")[:-1]) == "강아"
    assert repair(damaged("개 🐶")[:-2]) == "개 "


@pytest.mark.parametrize("dots", ["...", "…"])
@pytest.mark.parametrize("cut", [1, 2])
def test_half_a_character_before_dots_costs_only_itself(dots, cut):
    assert repair(damaged("산책 #강아지")[:-cut] + damaged(dots)) == "산책 #강아" + dots
    assert repair("caf\xe9" + dots) == "caf\xe9" + dots


def test_decomposed_korean_stays_decomposed():
    assert repair(damaged("제주")) == "제주"


def test_half_surrogates_become_writable_and_pairs_are_joined():
    assert repair("\ud83d") == "\ufffd"
    assert repair("개\ud83d\udc36") == "개🐶"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("산책 #강아지", "utf-8"),
        ("산책 #강아지", "utf-8-sig"),
        ("산책 #강아지", "utf-16"),
        ("산책 #강아지", "cp949"),
        ("café", "cp1252"),
        ("“Überraschung”", "cp1252"),
        ("plain", "ascii"),
        ("", "ascii"),
    ],
)
def test_text_of_old_files_is_decoded(text, encoding):
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("cut", [1, 2])
def test_half_a_character_at_the_end_of_a_file_costs_only_itself(cut):
    assert decoded("산책 #강아지".encode()[:-cut]) == "산책 #강아"


@given(st.binary())
def test_any_bytes_are_decoded_to_text(raw):
    decoded(raw).encode()
