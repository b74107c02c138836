"""DRN-A, DRN-C and DRN-D for timm: importing this module registers all twelve, with URLs of the authors' weights.

The network itself is in :mod:`hashtagger.models.dilated`, which does not need timm.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from hashtagger.models.dilated import DRN, VARIANTS

__all__ = ["DRN", "VARIANTS", "default_cfgs"]


def _cfg(url: str = "", **kwargs: Any) -> dict[str, Any]:
    return {
        "url": url,
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "min_input_size": (3, 32, 32),
        "pool_size": (28, 28),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "first_conv": "conv1",
        "classifier": "fc",
        "license": "bsd-3-clause",
        **kwargs,
    }


_AUTHORS = "http://dl.yf.io/drn/"

default_cfgs = generate_default_cfgs(
    {
        "drn_a_50.tv_in1k": _cfg("https://download.pytorch.org/models/resnet50-19c8e357.pth"),
        "drn_c_26.in1k": _cfg(_AUTHORS + "drn_c_26-ddedf421.pth"),
        "drn_c_42.in1k": _cfg(_AUTHORS + "drn_c_42-9d336e8c.pth"),
        "drn_c_58.in1k": _cfg(_AUTHORS + "drn_c_58-0a53a92c.pth"),
        "drn_d_22.in1k": _cfg(_AUTHORS + "drn_d_22-4bd2f8ea.pth", first_conv="layer0.0"),
        "drn_d_24.untrained": _cfg(first_conv="layer0.0"),
        "drn_d_38.in1k": _cfg(_AUTHORS + "drn_d_38-eebb45f0.pth", first_conv="layer0.0"),
        "drn_d_40.untrained": _cfg(first_conv="layer0.0"),
        "drn_d_54.in1k": _cfg(_AUTHORS + "drn_d_54-0e0534ff.pth", first_conv="layer0.0"),
        "drn_d_56.untrained": _cfg(first_conv="layer0.0"),
        "drn_d_105.in1k": _cfg(_AUTHORS + "drn_d_105-12b40979.pth", first_conv="layer0.0"),
        "drn_d_107.untrained": _cfg(first_conv="layer0.0"),
    }
)


def _register(name: str) -> None:
    levels = 5 if VARIANTS[name]["arch"] == "A" else 8

    def create(pretrained: bool = False, **kwargs: Any) -> DRN:
        arguments = {**VARIANTS[name], **kwargs}
        drn: DRN = build_model_with_cfg(
            DRN, name, pretrained, feature_cfg={"out_indices": tuple(range(levels))}, **arguments
        )
        return drn

    create.__name__ = create.__qualname__ = name  # the name under which timm registers it and adds it to __all__
    globals()[name] = register_model(create)


for _name in VARIANTS:
    _register(_name)
