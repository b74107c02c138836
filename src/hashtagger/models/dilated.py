"""Dilated Residual Networks: DRN-A, DRN-C and DRN-D.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017 (arXiv:1705.09914), and DRN-D of their code.

A DRN is a residual network in which dilation takes the place of the last two strides, so its features have an eighth
of the input's size rather than a thirty-second. The classifier is linear and follows average pooling; the same weights,
applied before the pooling, classify each place of the photo: :meth:`DRN.forward_class_map`.

- **A** is a ResNet with dilation in place of two strides; its maps show a grid.
- **C** removes the grid: a convolutional stem without max pooling, and two levels of falling dilation
  without residual connections at the end (levels 7 and 8).
- **D** is C with plain convolutions in place of the residual blocks of levels 1, 2, 7 and 8.

State-dict keys and shapes are those of the authors' checkpoints. :mod:`hashtagger.models.drn` registers all twelve
networks with timm. This module does not import timm, which takes longer than recommending tags for a photo.
"""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["DRN", "VARIANTS"]

Block = type["BasicBlock"] | type["Bottleneck"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with its own dilation; without ``residual`` the input is not added to the output."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        downsample: nn.Module | None = None,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, dilation[0], dilation[0], bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, dilation[1], dilation[1], bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU(inplace=True)
        # Kept even without a residual connection: the authors' checkpoints hold its weights.
        self.downsample = downsample
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) to (batch, channels, h / stride, w / stride)."""
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return self.act2(y)


class Bottleneck(nn.Module):
    """A 1x1, a dilated 3x3 and a 1x1 convolution; the last widens to ``channels * 4``."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        downsample: nn.Module | None = None,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, dilation[0], dilation[0], bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.act3 = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) to (batch, channels * 4, h / stride, w / stride)."""
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return self.act3(y)


def _residual_level(
    block: Block,
    in_channels: int,
    channels: int,
    depth: int,
    stride: int = 1,
    dilation: int = 1,
    first_dilation: tuple[int, int] | None = None,
    residual: bool = True,
) -> nn.Sequential:
    """``depth`` blocks; the first one changes stride and width, and may have other dilations than the rest."""
    out_channels = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    first = first_dilation or (dilation, dilation)
    rest = (block(out_channels, channels, 1, (dilation, dilation), None, residual) for _ in range(depth - 1))
    return nn.Sequential(block(in_channels, channels, stride, first, downsample, residual), *rest)


def _conv_level(in_channels: int, channels: int, depth: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """``depth`` times 3x3 convolution, batch norm, ReLU; the first convolution has the stride."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(in_channels, channels, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        in_channels, stride = channels, 1
    return nn.Sequential(*layers)


def _level_info(widths: Sequence[int], reductions: Sequence[int]) -> list[dict[str, Any]]:
    """Make timm's ``feature_info`` of ``layer1``, ``layer2``, ...: their output channels and strides."""
    return [
        {"num_chs": width, "reduction": reduction, "module": f"layer{i}"}
        for i, (width, reduction) in enumerate(zip(widths, reductions, strict=True), start=1)
    ]


class _Average(nn.Module):
    """Average pooling over all places, with the interface of timm's ``SelectAdaptivePool2d``."""

    pool_type = "avg"

    def __init__(self, flatten: bool) -> None:
        super().__init__()
        self.flatten = flatten

    def is_identity(self) -> bool:
        return False

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=not self.flatten)


def _classifier(features: int, labels: int, pool: str, conv: bool) -> tuple[Any, nn.Module]:
    """Make the pooling and the last layer as timm does, and without timm in the usual case."""
    if pool == "avg" and labels:
        return _Average(flatten=not conv), nn.Conv2d(features, labels, 1) if conv else nn.Linear(features, labels)
    from timm.layers import create_classifier

    made: tuple[Any, nn.Module] = create_classifier(features, labels, pool_type=pool, use_conv=conv)
    return made


class DRN(nn.Module):
    """A dilated residual network.

    Args:
        arch: The paper's family: ``"A"``, ``"C"`` or ``"D"``.
        block: The residual block of the inner levels.
        layers: Blocks per level: four numbers for A, eight for C and D.
        num_classes: Outputs; 0 gives the pooled features.
        in_chans: Channels of the input.
        channels: Width per level, before the block's expansion, one number per level.
        global_pool: timm's name of the pooling; ``""`` leaves the map as it is.
        drop_rate: Dropout before the classifier, 0..1.
        output_stride: 8, or 16 for the same weights at a third of the work, for most epochs of a training. The first
            dilated level then has a stride and the dilations after it are halved, so that each convolution computes
            the same at every second place. Only those without dilation see twice as far.

    Input is float (batch, in_chans, h, w) with h and w of 32 or more, output is (batch, num_classes).

    Raises:
        ValueError: ``output_stride`` is neither 8 nor 16.
    """

    def __init__(
        self,
        arch: Literal["A", "C", "D"],
        block: Block,
        layers: tuple[int, ...],
        num_classes: int = 1000,
        in_chans: int = 3,
        channels: tuple[int, ...] | None = None,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        output_stride: Literal[8, 16] = 8,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16):
            raise ValueError(f"output_stride {output_stride} is neither 8 nor 16")
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.drop_rate = drop_rate
        self.grad_checkpointing = False
        if arch == "A":
            self.feature_info = self._build_a(block, layers, channels or (64, 128, 256, 512), in_chans, output_stride)
        else:
            widths = channels or (16, 32, 64, 128, 256, 512, 512, 512)
            self.feature_info = self._build_cd(arch, block, layers, widths, in_chans, output_stride)
        self.num_features = self.head_hidden_size = int(self.feature_info[-1]["num_chs"])
        # The modules built so far run in the order in which they were built.
        self._stem = [name for name in self._modules if not name.startswith("layer")]
        self._levels = [name for name in self._modules if name.startswith("layer")]
        # The authors' A ends in a linear layer, C and D in a 1x1 convolution: the same function, other shapes.
        self._conv_classifier = arch != "A"
        self.global_pool, self.fc = _classifier(self.num_features, num_classes, global_pool, self._conv_classifier)
        self.init_weights()

    def _build_a(
        self, block: Block, layers: tuple[int, ...], widths: tuple[int, ...], in_chans: int, output_stride: int
    ) -> list[dict[str, Any]]:
        self.conv1 = nn.Conv2d(in_chans, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        x, stride = block.expansion, output_stride // 8
        self.layer1 = _residual_level(block, widths[0], widths[0], layers[0])
        self.layer2 = _residual_level(block, widths[0] * x, widths[1], layers[1], stride=2)
        # As in the authors' code, the first block of a dilated level is not dilated.
        self.layer3 = _residual_level(
            block, widths[1] * x, widths[2], layers[2], stride, dilation=2 // stride, first_dilation=(1, 1)
        )
        self.layer4 = _residual_level(
            block, widths[2] * x, widths[3], layers[3], dilation=4 // stride, first_dilation=(1, 1)
        )
        stem = {"num_chs": widths[0], "reduction": 2, "module": "act1"}
        return [stem, *_level_info([width * x for width in widths], (4, 8, output_stride, output_stride))]

    def _build_cd(
        self,
        arch: str,
        block: Block,
        layers: tuple[int, ...],
        widths: tuple[int, ...],
        in_chans: int,
        output_stride: int,
    ) -> list[dict[str, Any]]:
        stem_conv = nn.Conv2d(in_chans, widths[0], 7, 1, 3, bias=False)
        if arch == "C":
            self.conv1, self.bn1, self.act1 = stem_conv, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
            self.layer1 = _residual_level(BasicBlock, widths[0], widths[0], layers[0])
            self.layer2 = _residual_level(BasicBlock, widths[0], widths[1], layers[1], stride=2)
        else:
            self.layer0 = nn.Sequential(stem_conv, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
            self.layer1 = _conv_level(widths[0], widths[0], layers[0])
            self.layer2 = _conv_level(widths[0], widths[1], layers[1], stride=2)
        x, stride = block.expansion, output_stride // 8
        self.layer3 = _residual_level(block, widths[1], widths[2], layers[2], stride=2)
        self.layer4 = _residual_level(block, widths[2] * x, widths[3], layers[3], stride=2)
        # The convolution that has the stride still sees the finer grid, hence its undivided dilation.
        self.layer5 = _residual_level(
            block, widths[3] * x, widths[4], layers[4], stride, dilation=2 // stride, first_dilation=(2, 2 // stride)
        )
        self.layer6 = _residual_level(block, widths[4] * x, widths[5], layers[5], dilation=4 // stride)
        if arch == "C":
            self.layer7 = _residual_level(
                BasicBlock, widths[5] * x, widths[6], layers[6], dilation=2 // stride, residual=False
            )
            self.layer8 = _residual_level(BasicBlock, widths[6], widths[7], layers[7], residual=False)
        else:
            self.layer7 = _conv_level(widths[5] * x, widths[6], layers[6], dilation=2 // stride)
            self.layer8 = _conv_level(widths[6], widths[7], layers[7])
        outputs = [*widths[:2], *(width * x for width in widths[2:6]), *widths[6:]]
        return _level_info(outputs, (1, 2, 4, 8, *[output_stride] * 4))

    def init_weights(self) -> None:
        """Initialize convolutions as the authors do (He et al., over the fan-out); norms start at 1 and 0 anyway."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Layer groups for timm's layer-wise learning rates."""
        return {"stem": r"^(conv1|bn1|layer0)", "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory while training: recompute each level's activations in the backward pass."""
        self.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a new one with ``num_classes`` outputs (0: none)."""
        self.num_classes = num_classes
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self.global_pool, self.fc = _classifier(self.num_features, num_classes, pool, self._conv_classifier)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (batch, in_chans, h, w) to the last level's (batch, num_features, ceil(h / 8), ceil(w / 8)).

        With an output stride of 16 the divisor is 16.
        """
        for name in self._stem:
            x = getattr(self, name)(x)
        levels = [getattr(self, name) for name in self._levels]
        if self.grad_checkpointing:
            from timm.models import checkpoint_seq

            return checkpoint_seq(levels, x)
        for level in levels:
            x = level(x)
        return x

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Compute the maps of several levels at once, as timm's networks do.

        Args:
            x: (batch, in_chans, h, w).
            indices: Levels by their number in ``feature_info``, negative ones from the end; an int takes the last so
                many, None all.
            norm: For timm's sake; the levels end in their own norms.
            stop_early: Compute no level after the last one taken.
            output_fmt: ``"NCHW"`` is all there is.
            intermediates_only: Return the maps alone.

        Returns:
            The last level computed, and the maps of the levels taken, from the first to the last.

        Raises:
            IndexError: There is no such level.
            ValueError: ``output_fmt`` is another one.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt} is not NCHW")
        wanted = [self.feature_info[i]["module"] for i in self._taken(indices)]
        found: list[Tensor] = []
        for name in [*self._stem, *self._levels]:
            if stop_early and len(found) == len(wanted):
                break
            if self.grad_checkpointing and name in self._levels:
                from timm.models import checkpoint_seq

                x = checkpoint_seq([getattr(self, name)], x)
            else:
                x = getattr(self, name)(x)
            if name in wanted:
                found.append(x)
        return found if intermediates_only else (x, found)

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what :meth:`forward_intermediates` does not need for some levels: those after them, and the head.

        Args:
            indices: As there.
            prune_norm: For timm's sake.
            prune_head: Remove the head even where no level goes.

        Returns:
            The levels by their number in ``feature_info``.

        Raises:
            IndexError: There is no such level.
        """
        taken = self._taken(indices)
        last = self.feature_info[max(taken)]
        names = [*self._stem, *self._levels]
        removed = names[names.index(last["module"]) + 1 :]
        for name in removed:
            setattr(self, name, nn.Identity())
        self.num_features = self.head_hidden_size = int(last["num_chs"])
        if prune_head or removed:
            self.reset_classifier(0, "")
        return taken

    def _taken(self, indices: int | Sequence[int] | None) -> list[int]:
        levels = range(len(self.feature_info))
        if indices is None:
            return list(levels)
        return [levels[i] for i in (range(-indices, 0) if isinstance(indices, int) else indices)]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the features of :meth:`forward_features` and classify them: (batch, num_classes).

        With ``pre_logits`` the pooled features come back, (batch, num_features).
        """
        x = self.global_pool(x)
        if self.drop_rate:
            x = nn.functional.dropout(x, self.drop_rate, self.training)
        pooled = not self.global_pool.is_identity()
        if not pre_logits:
            x = self.fc(x)
        return x.flatten(1) if pooled else x

    def forward_class_map(self, x: Tensor) -> Tensor:
        """Classify each place: (batch, num_classes, ceil(h / 8), ceil(w / 8)); its mean over places is the logits.

        With an output stride of 16 the divisor is 16.
        """
        x = self.forward_features(x)
        if isinstance(self.fc, nn.Linear):
            return nn.functional.conv2d(x, self.fc.weight[:, :, None, None], self.fc.bias)
        return self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Classify photos: float (batch, in_chans, h, w) to logits (batch, num_classes)."""
        return self.forward_head(self.forward_features(x))


VARIANTS: dict[str, dict[str, Any]] = {
    "drn_a_50": {"arch": "A", "block": Bottleneck, "layers": (3, 4, 6, 3)},
    "drn_c_26": {"arch": "C", "block": BasicBlock, "layers": (1, 1, 2, 2, 2, 2, 1, 1)},
    "drn_c_42": {"arch": "C", "block": BasicBlock, "layers": (1, 1, 3, 4, 6, 3, 1, 1)},
    "drn_c_58": {"arch": "C", "block": Bottleneck, "layers": (1, 1, 3, 4, 6, 3, 1, 1)},
    "drn_d_22": {"arch": "D", "block": BasicBlock, "layers": (1, 1, 2, 2, 2, 2, 1, 1)},
    "drn_d_24": {"arch": "D", "block": BasicBlock, "layers": (1, 1, 2, 2, 2, 2, 2, 2)},
    "drn_d_38": {"arch": "D", "block": BasicBlock, "layers": (1, 1, 3, 4, 6, 3, 1, 1)},
    "drn_d_40": {"arch": "D", "block": BasicBlock, "layers": (1, 1, 3, 4, 6, 3, 2, 2)},
    "drn_d_54": {"arch": "D", "block": Bottleneck, "layers": (1, 1, 3, 4, 6, 3, 1, 1)},
    "drn_d_56": {"arch": "D", "block": Bottleneck, "layers": (1, 1, 3, 4, 6, 3, 2, 2)},
    "drn_d_105": {"arch": "D", "block": Bottleneck, "layers": (1, 1, 3, 4, 23, 3, 1, 1)},
    "drn_d_107": {"arch": "D", "block": Bottleneck, "layers": (1, 1, 3, 4, 23, 3, 2, 2)},
}
"""Arguments of :class:`DRN` for the authors' twelve networks, by their names in timm."""
