"""Dilated Residual Networks: DRN-A, DRN-C and DRN-D.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017 (arXiv:1705.09914); DRN-D is from their code.

A DRN is a residual network in which dilation replaces the last two strides, so its feature maps have 1/8 of the
input's size instead of 1/32. The classifier is a linear layer after average pooling; the same weights, applied before
the pooling, classify each position of the photo: :meth:`DRN.forward_class_map`.

- **A** is a ResNet with dilation in place of two strides; its feature maps have gridding artifacts.
- **C** removes these artifacts: a convolutional stem without max pooling, and at the end two levels of decreasing
  dilation without residual connections (levels 7 and 8).
- **D** is C with plain convolutions in place of the residual blocks of levels 1, 2, 7 and 8.

State-dict keys and shapes match the authors' checkpoints. :mod:`hashtagger.models.drn` registers all twelve
networks with timm. This module avoids importing timm, because that takes longer than recommending tags for a photo.
"""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["DRN", "VARIANTS"]

Block = type["BasicBlock"] | type["Bottleneck"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with its own dilation; the input is added to the output only if ``residual``."""

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
        # Kept even without a residual connection, because the authors' checkpoints contain its weights.
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
    """A 1x1, a dilated 3x3 and a 1x1 convolution; the last expands to ``channels * 4``."""

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
    """``depth`` blocks; the first changes stride and width, and may have different dilations."""
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
    """``depth`` times 3x3 convolution, batch norm and ReLU; the stride is in the first convolution."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(in_channels, channels, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        in_channels, stride = channels, 1
    return nn.Sequential(*layers)


def _double_resolution(level: nn.Module) -> None:
    """Remove a level's stride and double the dilations after it, so that it computes every position in between too."""
    for module in level.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if module.stride != (1, 1):
            module.stride = (1, 1)  # its input is as fine as before, and so is its dilation
        elif module.kernel_size != (1, 1):
            module.dilation = module.padding = (2 * module.dilation[0], 2 * module.dilation[1])


def _level_info(widths: Sequence[int], reductions: Sequence[int]) -> list[dict[str, Any]]:
    """Build timm's ``feature_info`` for ``layer1``, ``layer2``, ...: their output channels and strides."""
    return [
        {"num_chs": width, "reduction": reduction, "module": f"layer{i}"}
        for i, (width, reduction) in enumerate(zip(widths, reductions, strict=True), start=1)
    ]


class _Average(nn.Module):
    """Global average pooling with the interface of timm's ``SelectAdaptivePool2d``."""

    pool_type = "avg"

    def __init__(self, flatten: bool) -> None:
        super().__init__()
        self.flatten = flatten

    def is_identity(self) -> bool:
        return False

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=not self.flatten)


def _classifier(features: int, labels: int, pool: str, conv: bool) -> tuple[Any, nn.Module]:
    """Create the pooling and the last layer like timm's ``create_classifier``, without timm in the usual case."""
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
        num_classes: Number of outputs; 0 returns the pooled features.
        in_chans: Number of input channels.
        channels: Width of each level, before the block's expansion.
        global_pool: timm's name of the pooling; ``""`` disables pooling.
        drop_rate: Dropout before the classifier, 0..1.
        output_stride: 8, or 16 to run the same weights at a third of the cost. With 16 the first dilated level has a
            stride of 2 and the dilations after it are halved, so each convolution computes the same as before, but
            only at every second position. Undilated convolutions after that level cover twice the distance.
            :meth:`dense` gives such a network its fine maps back.

    The input is float (batch, in_chans, h, w) with h and w of at least 32; the output is (batch, num_classes).

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
        # The authors' A ends in a linear layer, C and D in a 1x1 convolution: equivalent, but weights of other shapes.
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
        # The input of the strided convolution still has the finer resolution, so its dilation is not halved.
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
        """Initialize convolutions like the authors (He et al., fan-out); batch norms keep PyTorch's defaults."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Layer groups for timm's layer-wise learning rate decay."""
        return {"stem": r"^(conv1|bn1|layer0)", "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Save memory during training by recomputing each level's activations in the backward pass."""
        self.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier with a new one of ``num_classes`` outputs (0: none)."""
        self.num_classes = num_classes
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self.global_pool, self.fc = _classifier(self.num_features, num_classes, pool, self._conv_classifier)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (batch, in_chans, h, w) to the last level's (batch, num_features, ceil(h / 8), ceil(w / 8)).

        With ``output_stride=16`` the divisor is 16.
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
        """Compute the feature maps of several levels in one pass; same interface as timm's networks.

        Args:
            x: (batch, in_chans, h, w).
            indices: Indices into ``feature_info``, negative ones from the end. An int ``n`` selects the last ``n``
                levels, None all.
            norm: Ignored; part of timm's interface. The levels end in their own norms.
            stop_early: Stop after the last selected level.
            output_fmt: Must be ``"NCHW"``.
            intermediates_only: Return only the list of maps.

        Returns:
            The output of the last computed level, and the maps of the selected levels, from first to last.

        Raises:
            IndexError: There is no such level.
            ValueError: ``output_fmt`` is not ``"NCHW"``.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt} is not NCHW")
        wanted = [self.feature_info[i]["module"] for i in self._selected(indices)]
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
        """Remove the head, and the levels after the last one that :meth:`forward_intermediates` needs for ``indices``.

        Args:
            indices: As in :meth:`forward_intermediates`.
            prune_norm: Ignored; part of timm's interface.
            prune_head: Remove the head even if no level is removed.

        Returns:
            The selected levels, as indices into ``feature_info``.

        Raises:
            IndexError: There is no such level.
        """
        selected = self._selected(indices)
        last = self.feature_info[max(selected)]
        names = [*self._stem, *self._levels]
        removed = names[names.index(last["module"]) + 1 :]
        for name in removed:
            setattr(self, name, nn.Identity())
        self.num_features = self.head_hidden_size = int(last["num_chs"])
        if prune_head or removed:
            self.reset_classifier(0, "")
        return selected

    def _selected(self, indices: int | Sequence[int] | None) -> list[int]:
        levels = range(len(self.feature_info))
        if indices is None:
            return list(levels)
        return [levels[i] for i in (range(-indices, 0) if isinstance(indices, int) else indices)]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the features of :meth:`forward_features` and classify them: (batch, num_classes).

        With ``pre_logits``, return the pooled features instead: (batch, num_features).
        """
        x = self.global_pool(x)
        if self.drop_rate:
            x = nn.functional.dropout(x, self.drop_rate, self.training)
        pooled = not self.global_pool.is_identity()
        if not pre_logits:
            x = self.fc(x)
        return x.flatten(1) if pooled else x

    def forward_class_map(self, x: Tensor) -> Tensor:
        """Classify each position: (batch, num_classes, ceil(h / 8), ceil(w / 8)); its spatial mean is the logits.

        With ``output_stride=16`` the divisor is 16.
        """
        x = self.forward_features(x)
        if isinstance(self.fc, nn.Linear):
            return nn.functional.conv2d(x, self.fc.weight[:, :, None, None], self.fc.bias)
        return self.fc(x)

    def dense(self) -> "DRN":
        """Make a network with an output stride of 8 from the same weights: itself if it has that already.

        Unlike a network created with ``output_stride=8``, it doubles all dilations after the removed stride, so that
        every second position of its maps, each way, is what this network computes there. It shares this one's tensors.
        """
        if self.feature_info[-1]["reduction"] == 8:
            return self
        tensors = chain(self.parameters(), self.buffers())
        fine = copy.deepcopy(self, {id(tensor): tensor for tensor in tensors})
        for info in fine.feature_info:
            if info["reduction"] == 16:
                info["reduction"] = 8
                _double_resolution(fine.get_submodule(info["module"]))
        return fine

    def forward(self, x: Tensor) -> Tensor:
        """Map photos, float (batch, in_chans, h, w), to logits (batch, num_classes)."""
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
"""Arguments of :class:`DRN` for the authors' twelve networks, by timm name."""
