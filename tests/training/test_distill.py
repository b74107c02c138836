"""Knowledge distillation: what teachers see and say, and the regression onto their features."""

import pytest
import torch
from torch import nn

from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.training.distill import Teachers, classify, feature_loss, normalize, width


def teacher(size, mean, std, temperature=1.0):
    torch.manual_seed(0)
    network = create_model("resnet18", num_classes=2).eval()
    return network, ModelConfig("resnet18", "", ("flower", "palace"), size, mean, std, temperature)


def test_a_teacher_sees_its_own_size_and_normalization():
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    network, config = teacher(64, mean, std, temperature=2.0)
    pixels = torch.randint(0, 256, (3, 3, 32, 32)).float()
    answers, features = Teachers([(network, config)])(pixels)
    enlarged = nn.functional.interpolate(pixels, scale_factor=2, mode="bilinear")
    seen = (enlarged / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(answers, (network(seen) / 2).softmax(1), atol=1e-4)
        assert torch.allclose(features, network.forward_features(seen).mean((2, 3)), atol=1e-3)


def test_teachers_see_photos_of_the_size_of_a_recipe():
    network, config = teacher(64, (0.5,) * 3, (0.5,) * 3)
    pixels = torch.randint(0, 256, (3, 3, 32, 32)).float()
    answers, _features = Teachers([(network, config)], size=32)(pixels)
    with torch.no_grad():
        assert torch.allclose(answers, network(normalize(pixels, config.mean, config.std)).softmax(1), atol=1e-4)


def test_several_teachers_are_averaged_and_their_features_joined():
    one, other = teacher(32, (0.5,) * 3, (0.5,) * 3), teacher(48, (0.4,) * 3, (0.2,) * 3)
    pixels = torch.randint(0, 256, (2, 3, 32, 32)).float()
    answers, features = Teachers([one, other])(pixels)
    each = [Teachers([single])(pixels) for single in (one, other)]
    assert torch.allclose(answers, (each[0][0] + each[1][0]) / 2)
    assert torch.equal(features, torch.cat([each[0][1], each[1][1]], 1))
    assert features.shape[1] == Teachers([one, other]).features == 2 * 512


@pytest.mark.parametrize(
    "name", ["drn_c_26", "drn_a_50", "sequential_cnn", "tf_efficientnet_lite0", "vit_tiny_patch16_224"]
)
def test_every_network_gives_the_features_its_logits_are_made_from(name):
    network = create_model(name, num_classes=3).eval()
    side = 224 if "vit" in name else 64
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        logits, pooled = classify(network, pixels)
        assert torch.equal(logits, network(pixels))
        assert pooled.shape == (2, width(network))
        head = network.get_classifier()
        made = head(pooled[..., None, None]).flatten(1) if isinstance(head, nn.Conv2d) else head(pooled)
    assert torch.allclose(made, logits, atol=1e-5)


def test_normalize():
    pixels = torch.full((1, 3, 2, 2), 255.0)
    assert torch.allclose(
        normalize(pixels, (0.5, 0.5, 0.0), (0.5, 0.25, 1.0))[0, :, 0, 0], torch.tensor([1.0, 2.0, 1.0])
    )


def test_the_feature_loss_is_zero_for_the_standardized_features_and_one_for_their_mean():
    features = torch.randn(64, 5) * 7 + 3
    standardized = (features - features.mean(0)) / features.std(0, unbiased=False)
    assert feature_loss(standardized, features) < 1e-6
    assert feature_loss(torch.zeros_like(features), features) == pytest.approx(1, abs=1e-3)
