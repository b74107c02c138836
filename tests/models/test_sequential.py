import re

import pytest
import timm
import torch
from torch import nn

import hashtagger.models.sequential  # noqa: F401  (registers the network with timm)
from hashtagger.errors import ModelError
from hashtagger.models import create_model, normalization


def test_is_the_studys_network():
    model = timm.create_model("sequential_cnn", num_classes=17)
    kinds = [type(layer) for layer in model.layers]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, nn.MaxPool2d] * 6
    assert model.layers[1].negative_slope == 0.01
    assert model.drop_rate == 0.25
    # A 3x3 convolution of 3 channels, five of 32, and 2x2x32 features to 17 classes.
    expected = (27 + 1) * 32 + 5 * (288 + 1) * 32 + (128 + 1) * 17
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert model.forward_features(torch.randn(1, 3, 128, 128)).shape == (1, 32, 2, 2)


def test_at_128_px_the_grid_is_a_plain_flattening():
    model = timm.create_model("sequential_cnn", num_classes=17).eval()
    x = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        plain = model.fc(model.layers(x).flatten(1))
        torch.testing.assert_close(model(x), plain)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 200), (224, 224)])
def test_any_size_from_32_px_and_any_class_count(size):
    model = timm.create_model("sequential_cnn", num_classes=3).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, *size)).shape == (1, 3)


def test_timm_interface():
    model = timm.create_model("sequential_cnn", num_classes=20).eval()
    x = torch.randn(1, 3, 128, 128)
    features = model.forward_features(x)
    assert features.shape[1] == model.num_features
    assert model.forward_head(features, pre_logits=True).shape == (1, model.head_hidden_size)
    torch.testing.assert_close(model.forward_head(features), model(x))
    model.reset_classifier(5)
    assert model(x).shape == (1, 5)
    assert model.get_classifier() is model.fc
    model.reset_classifier(0)
    assert model(x).shape == (1, model.head_hidden_size)
    config = timm.data.resolve_model_data_config(model)
    assert config["input_size"] == (3, 128, 128)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model = timm.create_model("sequential_cnn", num_classes=4, drop_rate=0.5)
    x = torch.randn(1, 3, 64, 64)
    assert not torch.equal(model.train()(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_the_signal_neither_dies_nor_explodes():
    torch.manual_seed(0)
    features = timm.create_model("sequential_cnn").eval().forward_features(torch.randn(8, 3, 128, 128))
    assert 0.1 < features.std().item() < 10


def test_options_of_the_studys_tries():
    model = create_model("sequential_cnn", num_classes=2, depth=3, width=16, activation="relu", drop_rate=0.0)
    assert [type(layer) for layer in model.layers] == [nn.Conv2d, nn.ReLU, nn.MaxPool2d] * 3
    assert model(torch.randn(1, 3, 40, 40)).shape == (1, 2)


def test_options_that_it_does_not_have_are_one_line():
    for wrong in ({"colour": 1}, {"activation": "none_such"}):
        with pytest.raises(ModelError, match="sequential_cnn cannot be created") as raised:
            create_model("sequential_cnn", **wrong)
        assert "\n" not in str(raised.value)


def test_each_network_has_a_normalization_of_its_own():
    assert normalization("sequential_cnn") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalization("drn_c_26") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for wrong, nearest in (("resnet5000", "resnet50"), ("seqential_cnn", "sequential_cnn"), ("?", "drn_c_26")):
        with pytest.raises(ModelError, match=rf"no network '{re.escape(wrong)}'; similar: .*\b{nearest}\b"):
            normalization(wrong)
