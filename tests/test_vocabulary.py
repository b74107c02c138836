import unicodedata

import pytest

from hashtagger.errors import UnknownLabelError, VocabularyError
from hashtagger.vocabulary import Label, available, load_vocabulary

KEYS = (
    "birthday cafe camping cat chicken couple dog exercise fashion flower hiking nail_art parenting reading selfie "
    "spring summer travel tteokbokki wedding"
)
TAGS = "생일 카페 캠핑 고양이 치킨 커플 강아지 운동 패션 꽃 등산 네일아트 육아 독서 셀카 봄 여름 여행 떡볶이 결혼"


def test_hashtags_ko_is_in_the_order_of_the_studys_checkpoint():
    vocabulary = load_vocabulary("hashtags_ko")
    assert vocabulary.keys == KEYS.split()
    assert vocabulary.tags == TAGS.split()
    assert len(vocabulary) == 20
    assert vocabulary["dog"].tag == "강아지"
    assert vocabulary.index("dog") == 6
    assert [label.key for label in vocabulary] == vocabulary.keys


@pytest.mark.parametrize("name", available())
def test_packed_vocabularies_are_sound(name):
    vocabulary = load_vocabulary(name)
    for label in vocabulary:
        assert label.key.isascii()
        assert label.key == label.key.lower().strip()
        assert label.name
        for text in (label.tag, *label.variants):
            assert text == unicodedata.normalize("NFC", text)
            assert not text.startswith("#")
            assert text.strip()


def test_a_label_is_found_by_its_key_and_its_tag():
    vocabulary = load_vocabulary("hashtags_ko")
    for text in ("dog", "강아지", "#강아지", unicodedata.normalize("NFD", "#강아지")):
        assert text in vocabulary
        assert vocabulary[text].key == "dog"
        assert vocabulary.index(text) == 6
    assert "댕댕이" not in vocabulary
    assert 6 not in vocabulary
    assert all(label in vocabulary for label in vocabulary)
    assert Label("dog", "댕댕이", "Dog") not in vocabulary


def test_a_label_that_is_not_there_is_the_key_error_of_containers():
    vocabulary = load_vocabulary("hashtags_ko")
    with pytest.raises(KeyError) as caught:
        vocabulary["없는것"]
    assert isinstance(caught.value, UnknownLabelError)
    assert str(caught.value).startswith("vocabulary hashtags_ko has no label '없는것'; it has: birthday, cafe")
    with pytest.raises(TypeError, match=r"by its key or tag, not by int; for positions there is \.labels"):
        vocabulary[0]


def test_a_key_comes_before_a_tag_of_the_same_letters(tmp_path):
    path = tmp_path / "swapped.toml"
    path.write_text('[[labels]]\nkey = "a"\ntag = "b"\nname = "A"\n[[labels]]\nkey = "b"\ntag = "a"\nname = "B"\n')
    assert load_vocabulary(path)["b"].name == "B"


def test_what_is_shown_of_a_vocabulary_fits_a_line():
    vocabulary = load_vocabulary("hashtags_ko")
    assert len(repr(vocabulary)) < 100
    assert repr(vocabulary["dog"]) == "Label(key='dog', tag='강아지', name='Dog')"


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "fruit.toml"
    nfd = unicodedata.normalize("NFD", "사과")
    path.write_text(
        f'title = "과일"\n[[labels]]\nkey = "apple"\ntag = "#{nfd} "\nname = "Apple"\n'
        f'variants = ["#{nfd}나무"]\ncolour = "red"\n'
        '[[labels]]\nkey = "pear"\ntag = "배"\nname = "Pear"\n',
        encoding="utf-8",
    )
    vocabulary = load_vocabulary(path)
    assert (vocabulary.name, vocabulary.title, vocabulary.keys) == ("fruit", "과일", ["apple", "pear"])
    assert vocabulary["apple"].tag == "사과"
    assert vocabulary["apple"].variants == ("사과나무",)
    assert vocabulary["apple"].details == {"colour": "red"}
    assert load_vocabulary(vocabulary) is vocabulary


def test_a_changed_file_is_read_anew(tmp_path):
    import os

    path = tmp_path / "fruit.toml"
    for time, key in ((1, "apple"), (2, "pear")):
        path.write_text(f'[[labels]]\nkey = "{key}"\ntag = "x"\nname = "x"\n')
        os.utime(path, (time, time))
        assert load_vocabulary(path).keys == [key]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("labels = [", "Invalid value"),
        ("", r"no \[\[labels\]\]"),
        ('[labels]\nkey = "a"\ntag = "x"\nname = "A"', r"no \[\[labels\]\]"),
        ('labels = ["a"]', r"no \[\[labels\]\]"),
        ('[[labels]]\nkey = "a"\nname = "A"', "label 1 lacks tag"),
        ('[[labels]]\nkey = "red apple"\ntag = "x"\nname = "A"', "key 'red apple' of label 1 .*: no spaces"),
        ('[[labels]]\nkey = "a"\ntag = "# "\nname = "A"', "tag '# ' of label 1 is not a hashtag"),
        ('[[labels]]\nkey = "a"\ntag = "x y"\nname = "A"', "tag 'x y' of label 1 is not a hashtag"),
        (
            '[[labels]]\nkey = "a"\ntag = "x"\nname = "A"\n[[labels]]\nkey = "a"\ntag = "y"\nname = "B"',
            "key given twice: a",
        ),
        (
            '[[labels]]\nkey = "a"\ntag = "x"\nname = "A"\n[[labels]]\nkey = "b"\ntag = "x"\nname = "B"',
            "tag given twice: x",
        ),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, text, cause):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(VocabularyError, match=rf"bad\.toml: .*{cause}") as raised:
        load_vocabulary(path)
    assert "\n" not in str(raised.value)


def test_unknown_names_list_what_exists(tmp_path):
    with pytest.raises(VocabularyError, match="no vocabulary 'nothing'; there are: .*hashtags_ko"):
        load_vocabulary("nothing")
    with pytest.raises(VocabularyError, match=r"absent\.toml: no such file"):
        load_vocabulary(tmp_path / "absent.toml")
    with pytest.raises(VocabularyError, match="no label 'puppy'; it has: birthday, cafe"):
        load_vocabulary()["puppy"]
