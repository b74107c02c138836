import pytest
import torch

from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig

KEYS = ("cat", "dog", "flower")


@pytest.fixture(scope="session")
def config():
    return ModelConfig("drn_d_22", "", KEYS, image_size=64)


@pytest.fixture(scope="session")
def narrow():
    """A DRN-D of random weights that is quick to run."""
    return narrow_drn("drn_d_22")


@pytest.fixture(scope="session")
def brightness():
    """A DRN-D whose label 1 responds to bright places, label 0 to dark ones, and label 2 to nothing."""
    return brightness_drn()


def narrow_drn(name, seed=0, **arguments):
    torch.manual_seed(seed)
    return create_model(name, num_classes=len(KEYS), channels=(8,) * 8, **arguments).eval()


def brightness_drn():
    model = narrow_drn("drn_d_22")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                # Each output depends only on its own pixel.
                centre = module.kernel_size[0] // 2
                module.weight.zero_()
                module.weight[:, :, centre, centre] = 1 / module.in_channels
        white = model.forward_features(torch.full((1, 3, 33, 33), 2.0)).sum(1).mean()
        model.fc.weight.copy_(torch.tensor([-8.0, 8.0, 0.0])[:, None, None, None].expand_as(model.fc.weight) / white)
        model.fc.bias.copy_(torch.tensor([4.0, -4.0, 0.0]))
    return model
