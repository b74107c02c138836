import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.organize import names


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("IMG_1.jpg", "IMG_1.jpg"),
        (unicodedata.normalize("NFD", "강아지.jpg"), "강아지.jpg"),
        ('a<b>c:d"e/f\\g|h?i*.jpg', "a_b_c_d_e_f_g_h_i_.jpg"),
        ("con", "con_"),
        ("NUL.txt", "NUL_.txt"),
        ("com1.tar.gz", "com1_.tar.gz"),
        ("LPT².jpg", "LPT²_.jpg"),
        ("console.jpg", "console.jpg"),
        ("end. . ", "end"),
        (" . ", "_"),
        ("..", "_"),
        ("", "_"),
        ("tab\there\x00.jpg", "tab_here_.jpg"),
        ("bad\udcff.jpg", "bad_.jpg"),
        ("turned\u202egpj.exe", "turned_gpj.exe"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
    ],
)
def test_safe_name(given_name, safe):
    assert names.safe_name(given_name) == safe


def test_long_names_are_cut_at_a_character_before_the_extension():
    name = names.safe_name("강" * 200 + ".jpeg")
    assert name.endswith("강.jpeg")
    assert len((names.numbered(name, 9_999_999) + ".xmp").encode()) <= 255


@given(st.text())
def test_any_text_becomes_a_name_that_holds(text):
    name = names.safe_name(text)
    assert 0 < len(name.encode()) <= 241
    assert names.safe_name(name) == name
    assert not set(name) & set('<>:"/\\|?*')
    assert name == name.rstrip(". ")


@pytest.mark.parametrize(
    ("name", "result"), [("IMG.jpg", "IMG (2).jpg"), (".jpg", ".jpg (2)"), ("no extension", "no extension (2)")]
)
def test_numbered(name, result):
    assert names.numbered(name, 2) == result


def test_key_ignores_case_and_form():
    assert names.key("Café.JPG") == names.key(unicodedata.normalize("NFD", "café.jpg"))
    assert names.key("가.jpg") != names.key("나.jpg")
