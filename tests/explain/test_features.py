import numpy as np
import pytest
import torch

from hashtagger.errors import ModelError
from hashtagger.explain.features import first_filters, levels, strongest_channels
from hashtagger.explain.heatmap import heat_map
from hashtagger.images import load_image
from hashtagger.models import create_model


def test_filters_are_small_pictures_with_grey_for_zero(narrow):
    filters = first_filters(narrow)
    weights = narrow.layer0[0].weight.detach().permute(0, 2, 3, 1).numpy()
    assert filters.shape == (8, 7, 7, 3)
    assert np.allclose(np.abs(filters - 0.5).reshape(8, -1).max(1), 0.5)
    assert ((filters > 0.5) == (weights > 0)).all()


def test_a_network_without_colours_has_no_filters_to_show():
    with pytest.raises(ModelError, match="Linear: no convolution"):
        first_filters(torch.nn.Linear(3, 3))


@pytest.mark.parametrize(("level", "stride"), [(1, 1), (2, 2), (3, 4), (8, 8)])
def test_the_strongest_channels_come_first(narrow, config, sample_photos, level, stride):
    photo = load_image(sample_photos["palace"])
    found = strongest_channels(narrow, config, photo, level, count=5)
    strengths = [channel.strength for channel in found]
    assert len(found) == 5
    assert strengths == sorted(strengths, reverse=True)
    every = strongest_channels(narrow, config, photo, level)
    assert sorted(channel.number for channel in every) == list(range(8))
    assert strengths[-1] >= max(channel.strength for channel in every[5:])
    for channel in found:
        assert channel.values.shape == (-(-65 // stride), -(-97 // stride))
        assert channel.strength == pytest.approx(float(channel.values.mean()), rel=1e-4)
    assert levels(narrow)[level - 1] == f"layer{level}"


@pytest.mark.parametrize("level", [0, 9, -1])
def test_an_unknown_level_lists_the_known_ones(narrow, config, sample_photos, level):
    with pytest.raises(ModelError, match=rf"drn_d_22 has no level {level}; it has: 1 \(layer1\), .*8 \(layer8\)"):
        strongest_channels(narrow, config, load_image(sample_photos["flower"]), level)


@pytest.mark.parametrize(
    ("name", "arguments", "places"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "embed_dim": 32, "depth": 1, "num_heads": 2}, [(4, 4)]),
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 64, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
            [(16, 16), (8, 8)],
        ),
    ],
)
def test_levels_of_transformers(config, sample_photos, name, arguments, places):
    network = create_model(name, num_classes=3, **arguments).eval()
    for level, size in enumerate(places, start=1):
        found = strongest_channels(network, config, load_image(sample_photos["palace"]), level, count=5)
        assert [channel.values.shape for channel in found] == [size] * 5


def test_a_network_without_levels_says_so(config, sample_photos):
    network = create_model("sequential_cnn", num_classes=3, depth=1, width=4).eval()
    with pytest.raises(ModelError, match="no layer to look at"):
        strongest_channels(network, config, load_image(sample_photos["flower"]), 1)


class Odd(torch.nn.Module):
    """A network with levels of which none has a feature map, as a few of timm's."""

    feature_info = tuple({"module": name, "num_chs": 3} for name in ("several", "tokens", "absent", "unused"))

    def __init__(self):
        super().__init__()
        self.several, self.tokens = torch.nn.MaxPool2d(2, return_indices=True), torch.nn.Flatten(2)
        self.unused, self.fc = torch.nn.Identity(), torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.tokens(self.several(x)[0]).mean(2))


def test_a_level_without_a_feature_map_says_so(config, sample_photos):
    network, photo = Odd().eval(), load_image(sample_photos["flower"])
    for level in range(1, 5):
        with pytest.raises(ModelError, match=f"level {level} has no feature map to draw"):
            strongest_channels(network, config, photo, level)
    pytest.importorskip("pytorch_grad_cam")
    for last in range(1, 5):
        network.feature_info = Odd.feature_info[:last]
        with pytest.raises(ModelError, match="Odd: no layer to look at"):
            heat_map(network, config, photo, 0)


def test_hooks_are_removed(narrow, config, sample_photos):
    strongest_channels(narrow, config, load_image(sample_photos["flower"]), 3)
    assert not any(module._forward_hooks for module in narrow.modules())
