"""Knowledge distillation: a network learns from the predictions and the features of trained ones, its teachers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hashtagger.models.config import ModelConfig


class Teachers:
    """Trained networks with the same labels, each with the config of its weights file.

    Not an ``nn.Module``, which would store the teachers in every checkpoint of the network that learns from them.

    Args:
        networks: The teachers.
        size: Side in pixels of the photos they see; 0 means the size each is used at.
    """

    def __init__(self, networks: Sequence[tuple[nn.Module, ModelConfig]], size: int = 0) -> None:
        self.networks = list(networks)
        self.size = size

    def __bool__(self) -> bool:
        return bool(self.networks)

    @property
    def features(self) -> int:
        """Number of pooled features of all teachers together."""
        return sum(width(network) for network, _config in self.networks)

    def to(self, device: torch.device) -> None:
        """Move all teachers to a device."""
        for network, _config in self.networks:
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Look at a batch, each teacher with its own normalization.

        Args:
            pixels: (batch, 3, height, width), 0..255.

        Returns:
            The mean of the teachers' calibrated probabilities (batch, labels), as in Hinton, Vinyals and Dean,
            "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531), and their pooled features side by
            side (batch, :attr:`features`).
        """
        answers, features = [], []
        for network, config in self.networks:
            size = self.size or config.image_size
            seen = nn.functional.interpolate(pixels.float(), (size, size), mode="bilinear", antialias=True)
            logits, pooled = classify(network, normalize(seen, config.mean, config.std))
            answers.append((logits.float() / config.temperature).softmax(1))
            features.append(pooled.float())
        return torch.stack(answers).mean(0), torch.cat(features, 1)


def normalize(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalize a batch (batch, 3, height, width) from 0..255, by a mean and std in 0..1, for a network's input."""
    scale = pixels.new_tensor([[mean, std]], dtype=torch.float32).mul(255)[..., None, None]
    return ((pixels - scale[:, 0]) / scale[:, 1]).contiguous(memory_format=torch.channels_last)


def classify(network: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute a timm network's logits (batch, labels) and the pooled features (batch, channels) they are made from."""
    features = network.forward_features(pixels)  # type: ignore[operator]
    pooled = network.forward_head(features, pre_logits=True)  # type: ignore[operator]
    return network.forward_head(features), pooled.flatten(1)  # type: ignore[operator]


def width(network: nn.Module) -> int:
    """Number of a timm network's pooled features."""
    return int(network.head_hidden_size)  # type: ignore[arg-type]


def feature_loss(predicted: Tensor, features: Tensor) -> Tensor:
    """Mean squared error of predictions of the teachers' features, of which each is standardized over the batch.

    A regression onto a teacher's features goes back to Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015
    (arXiv:1412.6550).

    Args:
        predicted: (batch, features).
        features: The same shape, the teachers' features.
    """
    standardized = nn.functional.batch_norm(features, None, None, training=True)
    return nn.functional.mse_loss(predicted.float(), standardized)
