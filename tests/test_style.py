import logging
import warnings

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from hashtagger import style
from hashtagger.errors import MissingExtraError
from hashtagger.vocabulary import available, load_vocabulary


@pytest.fixture(autouse=True)
def fresh_choice():
    style.korean_font.cache_clear()
    yield
    style.korean_font.cache_clear()


def test_the_font_has_every_glyph_of_every_tag():
    path = font_manager.findfont(style.korean_font(), fallback_to_default=False)
    glyphs = FT2Font(path).get_charmap()
    text = "#0123456789.%" + "".join(tag for name in available() for tag in load_vocabulary(name).tags)
    assert {character for character in text if ord(character) not in glyphs} == set()


def test_text_is_drawn_without_boxes_or_warnings(tmp_path, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")  # matplotlib warns of a missing glyph
        with style.house_style():
            figure, (axes,) = style.panels(1)
            axes.set(title="#떡볶이 −3 → 87%", xlim=(-3, 3))
            figure.savefig(tmp_path / "picture.png")
    assert caplog.text == ""


def test_a_font_of_the_system_serves_where_the_package_is_not_installed(monkeypatch):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    monkeypatch.setattr(style, "_KNOWN", ("No Such Font", "DejaVu Sans"))
    assert style.korean_font() == "DejaVu Sans"


def test_without_any_korean_font_nothing_is_drawn_and_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    monkeypatch.setattr(style, "_KNOWN", ("No Such Font",))
    with pytest.raises(MissingExtraError, match=r"no Korean font .*\.\[explain\]"), style.house_style():
        pass


def test_settings_are_restored_afterwards():
    before = dict(matplotlib.rcParams)
    with style.house_style():
        assert dict(matplotlib.rcParams) != before
    assert dict(matplotlib.rcParams) == before
