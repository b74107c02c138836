import pytest

from hashtagger.errors import WeightsError
from hashtagger.models.config import ModelConfig
from hashtagger.models.labels import labels_of
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

FRUIT = Vocabulary(
    "fruit", "Fruit", tuple(Label(key, tag, key) for key, tag in (("a", "사과"), ("b", "배"), ("c", "감")))
)


def config(vocabulary, keys, labels=()):
    return ModelConfig("drn_c_26", vocabulary, tuple(keys), 64, labels=tuple(labels))


def test_a_file_of_a_bundled_vocabulary_has_its_labels():
    vocabulary = load_vocabulary("heroes")
    assert labels_of(config("heroes", vocabulary.keys), "x") == vocabulary


def test_a_part_of_a_vocabulary_in_the_order_of_the_outputs():
    part = labels_of(config("heroes", ["thanos", "hulk"]), "x")
    assert part.tags == ["타노스", "헐크"]
    assert part.name == "heroes"
    assert labels_of(config("other", "cb"), "x", FRUIT).tags == ["감", "배"]


@pytest.mark.parametrize("name", ["", "never_heard_of", "hashtags_ko", "gone.toml"])
def test_without_the_vocabulary_labels_come_from_the_file(name):
    own = labels_of(config(name, "ab", FRUIT.labels[:2]), "x")
    assert (own.name, own.keys, own.tags) == (name, ["a", "b"], ["사과", "배"])
    assert labels_of(config(name, "ab"), "x").tags == ["a", "b"]
    spaced = labels_of(config(name, ["ice cream", "b"]), "x")
    assert (spaced.keys, spaced.tags) == (["ice cream", "b"], ["ice_cream", "b"])


def test_labels_that_the_wanted_vocabulary_lacks_are_one_line():
    with pytest.raises(WeightsError) as raised:
        labels_of(config("", "ax"), "w.safetensors", FRUIT)
    assert str(raised.value) == "w.safetensors: its 2 classes (a, x) are not the 3 of fruit (a, b, c)"
