"""The small sequential network of the landmark study, registered with timm as ``sequential_cnn``.

It has seven learned layers: six 3x3 convolutions of 32 channels, each with LeakyReLU (0.01) and 2x2 max pooling, then
dropout (0.25) and a linear classifier. At the study's 128 px the last feature map is 2x2 and is flattened. For other
sizes, from 32 px, adaptive average pooling reduces the map to 2x2 (a no-op at 128 px), so the same weights can be used.
"""

from typing import Any

import torch
from timm.layers import get_act_layer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

__all__ = ["SequentialCNN"]

_GRID = 2


class SequentialCNN(nn.Module):
    """A stack of convolutions, each followed by an activation and 2x2 max pooling.

    Args:
        num_classes: Number of outputs; 0 returns the flattened features.
        in_chans: Number of input channels.
        depth: Number of convolutions.
        width: Channels of each convolution.
        activation: timm's name of the activation: ``"leaky_relu"``, ``"relu"``, ``"elu"``, ``"tanh"``, ...
        drop_rate: Dropout before the classifier, 0..1.

    The input is float (batch, in_chans, h, w) with h and w of at least 32; the output is (batch, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        depth: int = 6,
        width: int = 32,
        activation: str = "leaky_relu",
        drop_rate: float = 0.25,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.num_features = width
        self.head_hidden_size = width * _GRID**2
        self.drop_rate = drop_rate
        act: Any = get_act_layer(activation)
        layers: list[nn.Module] = []
        for number in range(depth):
            # With ceil_mode, pooling leaves a 1x1 map as it is, which small inputs reach; without, it would fail.
            convolution = nn.Conv2d(in_chans if number == 0 else width, width, 3, padding=1)
            layers += [convolution, act(), nn.MaxPool2d(2, ceil_mode=True)]
        self.layers = nn.Sequential(*layers)
        self.grid = nn.AdaptiveAvgPool2d(_GRID)
        self.fc = self._classifier(num_classes)
        for module in self.layers:
            if isinstance(module, nn.Conv2d):
                # PyTorch's default shrinks activations at every layer, and there are no norms to restore the scale.
                nn.init.kaiming_normal_(module.weight, nonlinearity="leaky_relu", a=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def _classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.head_hidden_size, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier with a new one of ``num_classes`` outputs (0: none); the pooling is fixed."""
        self.num_classes = num_classes
        self.fc = self._classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (batch, in_chans, h, w) to (batch, width, ceil(h / 2 ** depth), ceil(w / 2 ** depth))."""
        return self.layers(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Classify the features of :meth:`forward_features`: (batch, num_classes).

        With ``pre_logits``, return the flattened features instead: (batch, width * 4).
        """
        x = torch.flatten(self.grid(x), 1)
        x = nn.functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map photos, float (batch, in_chans, h, w), to logits (batch, num_classes)."""
        return self.forward_head(self.forward_features(x))


default_cfgs = generate_default_cfgs(
    {
        "sequential_cnn.untrained": {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, 128, 128),
            "min_input_size": (3, 32, 32),
            "pool_size": (2, 2),
            "crop_pct": 1.0,
            "interpolation": "bicubic",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "layers.0",
            "classifier": "fc",
        }
    }
)


@register_model
def sequential_cnn(pretrained: bool = False, **kwargs: Any) -> SequentialCNN:
    """The landmark study's network."""
    network: SequentialCNN = build_model_with_cfg(SequentialCNN, "sequential_cnn", pretrained, **kwargs)
    return network
