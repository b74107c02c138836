"""Section 4 of the paper: DRN-A's dilation leaves a grid in its maps, and DRN-C's last levels remove it.

Random weights of both signs make noise of every frequency, which hides the effect of dilation. So each layer here
takes weighted means with random weights: anything that is not smooth in a smooth photo's map comes from dilation.
"""

import numpy as np
import pytest
import torch

from hashtagger.explain.classmap import network_input
from hashtagger.images import load_image
from hashtagger.models.config import ModelConfig
from hashtagger.models.dilated import DRN, BasicBlock

NETWORKS = {
    "A": ((2, 2, 2, 2), (16, 32, 32, 32)),
    "C": ((1, 1, 2, 2, 2, 2, 1, 1), (16, 16, 16, 32, 32, 32, 32, 32)),
}


def averaging(arch, seed):
    torch.manual_seed(seed)
    layers, widths = NETWORKS[arch]
    model = DRN(arch, BasicBlock, layers, num_classes=0, channels=widths).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                weights = module.weight.abs()
                module.weight.copy_(weights / weights.sum((1, 2, 3), keepdim=True))
    return model


def grid_energy(features):
    """Fraction of the maps' energy, without their means, at period 4, the largest dilation of both networks."""
    rows, columns = features.shape[-2:]
    window = np.outer(np.hanning(rows), np.hanning(columns))
    waves = (features - features.mean((1, 2), keepdims=True)) * window
    energy = (np.abs(np.fft.fft2(waves)) ** 2).sum(0)
    down, across = np.abs(np.fft.fftfreq(rows))[:, None], np.abs(np.fft.fftfreq(columns))[None]
    # The window smears each frequency over its neighbours.
    still = [frequency < 1.5 / length for frequency, length in ((down, rows), (across, columns))]
    grid = [np.abs(frequency - 1 / 4) < 1.5 / length for frequency, length in ((down, rows), (across, columns))]
    at = (grid[0] & (still[1] | grid[1])) | (still[0] & grid[1])
    return energy[at].sum() / energy.sum()


def energies(pixels, seed):
    with torch.inference_mode():
        return [grid_energy(averaging(arch, seed).forward_features(pixels)[0].numpy()) for arch in ("A", "C")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("photo", ["flower", "palace"])
def test_a_photo_leaves_less_grid_in_c_than_in_a(sample_photos, photo, seed):
    config = ModelConfig("", "", (), image_size=128, mean=(0, 0, 0), std=(1, 1, 1))
    grid_of_a, grid_of_c = energies(network_input(config, load_image(sample_photos[photo]), 128, 128), seed)
    assert grid_of_c < grid_of_a / 3


@pytest.mark.parametrize("seed", range(3))
def test_a_point_of_light_leaves_next_to_no_grid_in_c(seed):
    pixels = torch.zeros(1, 3, 128, 128)
    pixels[:, :, 64:68, 64:68] = 1
    grid_of_a, grid_of_c = energies(pixels, seed)
    assert grid_of_a > 0.01
    assert grid_of_c < grid_of_a / 100
