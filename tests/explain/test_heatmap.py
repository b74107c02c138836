from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from hashtagger.explain.classmap import class_map, grid_size, network_input
from hashtagger.explain.features import strongest_channels
from hashtagger.explain.gradcam import target_layer
from hashtagger.explain.heatmap import heat_map
from hashtagger.images import load_image
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig


def spot(width, height, x, y, radius):
    """A black photo with a bright spot with a soft edge."""
    rows, columns = np.mgrid[:height, :width]
    light = 255 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
    return Image.fromarray(np.repeat(light[..., None], 3, axis=2).astype(np.uint8))


def centre(heat):
    """Centre of mass above the minimum: x, y."""
    weight = heat - heat.min()
    rows, columns = np.mgrid[: heat.shape[0], : heat.shape[1]]
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


@pytest.mark.parametrize(("x", "y"), [(150, 100), (95, 85), (205, 120), (110, 118)])
def test_heat_lies_where_the_thing_is(brightness, config, x, y):
    heat = heat_map(brightness, config, spot(300, 200, x, y, 30), 1)
    assert heat.shape == (200, 300)
    assert heat.dtype == np.float32
    # A cell of the map covers 25 pixels of this photo, so a map aligned by pixel centres would be off by 11.
    assert centre(heat) == pytest.approx((x, y), abs=3)


def test_each_label_has_a_map_of_its_own(brightness, config):
    photo = spot(200, 160, 100, 80, 40)
    maps = [heat_map(brightness, config, photo, index) for index in range(3)]
    assert min(map(np.min, maps)) >= 0
    assert max(map(np.max, maps)) <= 1
    assert maps[0][80, 100] < maps[0][5, 5]
    assert maps[1][80, 100] > maps[1][5, 5]


def test_an_upright_photo_has_an_upright_map(brightness, config, tmp_path):
    photo = spot(300, 200, 230, 60, 30)
    turned = photo.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise to display upright
    turned.save(tmp_path / "turned.png", exif=exif)
    straight = heat_map(brightness, config, photo, 1)
    assert np.allclose(heat_map(brightness, config, load_image(tmp_path / "turned.png"), 1), straight, atol=1e-5)


def test_the_mean_of_a_class_map_is_the_logits(narrow, sample_photos):
    config = ModelConfig("drn_d_22", "", ("a", "b", "c"), image_size=64, temperature=2.0)
    photo = load_image(sample_photos["palace"])
    places = class_map(narrow, config, photo)
    width, height = grid_size(photo.size, 64)
    assert places.shape == (3, height // 8 + 1, width // 8 + 1)
    with torch.inference_mode():
        logits = narrow(network_input(config, photo, width, height))[0]
    assert torch.allclose(places.mean((1, 2)), logits / 2, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (640, 427), (427, 640), (5000, 20), (20, 5000), (3000, 3000)])
def test_grid_sides_fit_the_stride_and_stay_bounded(size):
    width, height = grid_size(size, 96)
    assert width % 8 == height % 8 == 1
    assert min(width, height) == 97
    assert max(width, height) <= 8 * 97
    if max(size) < 8 * min(size):
        assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {}),
        ("dla46_c", {}),  # adds up maps of several strides
        ("visformer_tiny", {"img_size": 64}),  # takes one size only
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}),
        ("cait_xxs24_224", {"img_size": 64, "depth": 2}),  # adds the class token in the last layers
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "window_size": 2, "depths": (1, 1, 1, 1), "embed_dim": 24}),
    ],
)
def test_other_networks_have_heat_maps_too(name, options, sample_photos):
    pytest.importorskip("pytorch_grad_cam")
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, **options).eval()
    config = ModelConfig(name, "", ("a", "b", "c"), image_size=64)
    photo = load_image(sample_photos["flower"]).resize((120, 80))
    first, second = (heat_map(model, config, photo, index) for index in (0, 1))
    assert first.shape == (80, 120)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() == 1
    assert first.std() > 0
    assert not np.allclose(first, second)
    assert target_layer(model) in list(model.modules())


def test_threads_that_ask_at_once_get_the_maps_they_asked_for(sample_photos):
    pytest.importorskip("pytorch_grad_cam")
    torch.manual_seed(0)
    model = create_model("mobilenetv3_small_050", num_classes=4).eval()
    config = ModelConfig("mobilenetv3_small_050", "", tuple("abcd"), image_size=64)
    photo = load_image(sample_photos["flower"]).resize((120, 80))
    alone = [heat_map(model, config, photo, index) for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda number: heat_map(model, config, photo, number % 4), range(16)))
    assert all(np.array_equal(heat, alone[number % 4]) for number, heat in enumerate(at_once))


def test_a_network_of_output_stride_16_has_a_map_as_fine_as_others(sample_photos):
    photo = load_image(sample_photos["palace"])
    config = ModelConfig("drn_c_26", "", (), image_size=72, mean=(0.5,) * 3, std=(0.25,) * 3)
    model = create_model("drn_c_26", num_classes=2, channels=(8,) * 8, output_stride=16).eval()
    width, height = grid_size(photo.size, 72)
    assert class_map(model, config, photo).shape == (2, (height - 1) // 8 + 1, (width - 1) // 8 + 1)
    assert strongest_channels(model, config, photo, 8)[0].values.shape == ((height - 1) // 8 + 1, (width - 1) // 8 + 1)
