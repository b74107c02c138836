from pathlib import Path

import pytest

from hashtagger.errors import WeightsError
from hashtagger.models.find import find_weights, list_weights, locate_weights


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of the user's with weights of the vocabulary abc."""
    monkeypatch.setattr("hashtagger.models.find.cache_folder", lambda: tmp_path)
    path = tmp_path / "drn_c_26-abc.safetensors"
    path.touch()
    return path


def test_cache_folder_is_searched(kept):
    assert find_weights("abc") == kept


def test_no_weights_is_one_clear_line():
    with pytest.raises(WeightsError, match=r"no weights for vocabulary 'nothing': .*\*-nothing\.safetensors"):
        find_weights("nothing")
    with pytest.raises(WeightsError, match=r"'fruit': .* --vocabulary my/fruit\.toml --out RUN"):
        find_weights("my/fruit.toml")


def test_a_network_is_chosen_by_name(kept, monkeypatch):
    other = kept.with_name("resnet18-abc.safetensors")
    other.touch()
    assert list_weights("abc") == [kept, other]
    assert locate_weights(None, "abc") == kept
    with monkeypatch.context() as environment:
        environment.setenv("HASHTAGGER_NETWORK", "resnet18")
        assert list_weights("abc") == [other, kept]
        environment.setenv("HASHTAGGER_NETWORK", "tf_efficientnet_lite2")  # has weights, but not of this vocabulary
        assert locate_weights(None, "abc") == kept
        environment.setenv("HASHTAGGER_NETWORK", "efficientnet")
        with pytest.raises(WeightsError, match="HASHTAGGER_NETWORK: no weights of network 'efficientnet'"):
            locate_weights(None, "abc")
        assert locate_weights("resnet18", "abc") == other
    assert locate_weights("resnet18", "abc") == other
    assert locate_weights(other, "abc") == other
    tagged = kept.with_name("resnet18.a1_in1k-abc.safetensors")
    tagged.touch()
    assert locate_weights("resnet18.a1_in1k", "abc") == tagged
    assert locate_weights("mine.safetensors", "abc") == Path("mine.safetensors")
    assert locate_weights("absent/resnet18", "abc") == Path("absent/resnet18")
    with pytest.raises(WeightsError, match=r"network 'resnet50' for vocabulary 'abc'; there are: .*, resnet18"):
        locate_weights("resnet50", "abc")
