import csv
import re

import pytest

from hashtagger.cli.collect import _class_of
from hashtagger.hangul import split_syllable
from hashtagger.normalize import Normalizer
from hashtagger.vocabulary import available, load_vocabulary

# Revised Romanization of single jamo.
_TABLES = """
ㄱg ㄲkk ㄴn ㄷd ㄸtt ㄹr ㅁm ㅂb ㅃpp ㅅs ㅆss ㅈj ㅉjj ㅊch ㅋk ㅌt ㅍp ㅎh
ㅏa ㅐae ㅑya ㅒyae ㅓeo ㅔe ㅕyeo ㅖye ㅗo ㅘwa ㅙwae ㅚoe ㅛyo ㅜu ㅝwo ㅞwe ㅟwi ㅠyu ㅡeu ㅢui ㅣi
ㄱk ㄲk ㄴn ㄵn ㄶn ㄷt ㄹl ㄺk ㄻm ㅁm ㅂp ㅄp ㅅt ㅆt ㅇng ㅈt ㅊt ㅋk ㅌt ㅍp
"""
INITIALS, VOWELS, FINALS = ({pair[0]: pair[1:] for pair in line.split()} for line in _TABLES.strip().splitlines())


def romanize(text: str) -> str:
    letters = []
    for char in text:
        if "가" <= char <= "힣":
            initial, vowel, final = split_syllable(char)
            letters.append(INITIALS.get(initial, "") + VOWELS[vowel] + FINALS.get(final, ""))
        else:
            letters.append(char.lower() if char.isascii() and char.isalnum() else "_")
    return re.sub("_+", "_", "".join(letters)).strip("_")


def test_the_three_studies_are_packed():
    sizes = {name: len(load_vocabulary(name)) for name in available()}
    assert {name: sizes.get(name) for name in ("landmarks_world", "landmarks_seoul", "heroes")} == {
        "landmarks_world": 17,
        "landmarks_seoul": 392,
        "heroes": 8,
    }


@pytest.mark.parametrize("name", ["landmarks_world", "landmarks_seoul", "heroes"])
def test_tags_are_hashtags_and_no_variant_is_another_labels_tag(name):
    vocabulary = load_vocabulary(name)
    owners = {}
    for label in vocabulary:
        assert re.fullmatch(r"[a-z0-9_]+", label.key)
        for text in (label.tag, *label.variants):
            assert re.fullmatch(r"\w+", text), text
            assert owners.setdefault(text, label.key) == label.key
        assert len({label.tag, *label.variants}) == 1 + len(label.variants), label.key


@pytest.mark.parametrize(
    ("name", "tag", "key"),
    [
        ("landmarks_world", "#EiffelTower", "eiffel_tower"),
        ("landmarks_seoul", "#경복궁야간개장", "gyeongbokgung"),
        ("landmarks_seoul", "남산타워", "n_seoultawo"),
        ("heroes", "타노스피규어", "thanos"),
    ],
)
def test_the_normalizer_knows_their_tags(name, tag, key):
    assert Normalizer(name).normalize(tag).canonical == (key,)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("landmarks_seoul", "서강대학교"),
        ("landmarks_seoul", "영도대교"),
        ("landmarks_seoul", "조계산"),
        ("landmarks_seoul", "부산롯데월드"),
        ("heroes", "캐나다로키산맥"),
        ("heroes", "헐크호건"),
    ],
)
def test_other_places_and_people_are_not_misspellings(name, tag):
    assert Normalizer(name).normalize(tag).canonical == ()


def test_photos_of_a_tag_are_collected_into_the_folder_of_its_key():
    assert _class_of("#에펠탑", "landmarks_world") == "eiffel_tower"
    assert _class_of("#강아지", "hashtags_ko") == "dog"


def test_every_landmark_of_the_world_has_a_place():
    for label in load_vocabulary("landmarks_world"):
        details = label.details
        assert -90 <= details["latitude"] <= 90
        assert -180 <= details["longitude"] <= 180
        assert details["address"]
        assert set(details["country"]) == {"ko", "en"}
        assert label.variants
    # These would fail if latitude and longitude were swapped or had the wrong sign.
    vocabulary = load_vocabulary("landmarks_world")
    assert vocabulary["cristo_redentor"].details["latitude"] < 0
    assert vocabulary["golden_gate"].details["longitude"] < -120
    assert vocabulary["sungnyemun"].details["longitude"] > 120


def test_every_hero_has_a_line_in_both_languages():
    for label in load_vocabulary("heroes"):
        assert re.search("[가-힣]", label.details["description"]["ko"])
        assert label.details["description"]["en"].isascii()


def test_seoul_says_where_a_place_is_or_that_it_does_not_know():
    known = 0
    for label in load_vocabulary("landmarks_seoul"):
        details = label.details
        assert details["geocode"] in ("known", "none")
        given = {"address", "latitude", "longitude"} & details.keys()
        assert len(given) == (3 if details["geocode"] == "known" else 0), label.key
        if given:
            known += 1
            assert details["address"].startswith("서울특별시 ")
            assert 37.42 < details["latitude"] < 37.70
            assert 126.76 < details["longitude"] < 127.19
    assert known == 81


def test_seouls_keys_are_derived_from_the_listed_names():
    vocabulary = load_vocabulary("landmarks_seoul")
    for label in vocabulary:
        assert label.key == romanize(label.details["listed"])
    for label in vocabulary:
        other = label.details.get("same_as")
        assert other is None or vocabulary[other].key != label.key


def test_seoul_is_the_studys_list(shared):
    with (shared / "vocabularies" / "landmarks_seoul_labels.csv").open(encoding="utf-8-sig") as file:
        listed = [name.strip() for _number, name in csv.reader(file)]
    assert [label.details["listed"] for label in load_vocabulary("landmarks_seoul")] == listed
