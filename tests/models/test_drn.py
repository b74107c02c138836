import json
import math
import pickle
from pathlib import Path

import pytest
import timm
import torch

import hashtagger.models.drn  # registers the networks with timm
from hashtagger.errors import ModelError
from hashtagger.models import build_model, create_model

# Over a hundred layers, the order of summation, which depends on the number of threads, alone changes float32 logits by
# up to 2.4e-4 (and the reference, computed with two threads, is off by 1.1e-4). With two threads all twelve networks
# agree to 2.1e-6.
TOLERANCE = {"drn_d_105": 5e-4, "drn_d_107": 5e-4}
GOLDEN = json.loads(Path(__file__).with_name("drn_golden.json").read_text())["models"]


def narrow(name):
    """Arguments for a network with few channels, which increase from level to level as in the real ones."""
    return {"channels": tuple(range(4, 12 if name.startswith("drn_a") else 20, 2))}


def fill(model: torch.nn.Module) -> None:
    """The weights that the golden numbers were computed with: sines of tensor and position."""
    state = {}
    for j, (key, tensor) in enumerate(model.state_dict().items()):
        if key.endswith("num_batches_tracked"):
            state[key] = tensor
            continue
        s = torch.sin(0.37 * torch.arange(tensor.numel(), dtype=torch.float64) + 1.3 * j)
        if key.endswith("running_var"):
            s = 1 + 0.5 * s
        elif key.endswith("running_mean") or key.endswith("bias"):
            s = 0.1 * s
        elif tensor.ndim == 4:
            s = s * 1.2 * math.sqrt(2 / tensor[0].numel())
        else:
            s = 1 + 0.2 * s
        state[key] = s.float().reshape(tensor.shape)
    model.load_state_dict(state)


@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_the_public_network(name):
    golden, rtol = GOLDEN[name], TOLERANCE.get(name, 1e-4)
    model = timm.create_model(name, num_classes=1000).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == golden["parameters"]
    if golden.get("state_dict"):
        assert [[key, list(tensor.shape)] for key, tensor in model.state_dict().items()] == golden["state_dict"]
    fill(model)
    x = torch.sin(0.01 * torch.arange(3 * 224 * 224, dtype=torch.float64)).float().reshape(1, 3, 224, 224)
    with torch.inference_mode():
        features = model.forward_features(x)
        logits = model.forward_head(features)
    if golden["map_shape"]:
        assert list(features.shape[2:]) == golden["map_shape"][2:]
    torch.testing.assert_close(logits[0, :10], torch.tensor(golden["first10"]), rtol=rtol, atol=0)
    # Not argmax itself: drn_a_50's two largest logits differ by less than rounding does from one CPU to another.
    torch.testing.assert_close(logits[0, golden["argmax"]], logits.max(), rtol=rtol, atol=0)
    assert logits.mean().item() == pytest.approx(golden["mean"], rel=rtol)
    assert logits.std().item() == pytest.approx(golden["std"], rel=rtol)


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_d_22"])
def test_class_map_averages_to_the_logits(name):
    model = timm.create_model(name, num_classes=7, **narrow(name)).eval()
    x = torch.randn(2, 3, 72, 104)
    with torch.inference_mode():
        class_map = model.forward_class_map(x)
        torch.testing.assert_close(class_map.mean((2, 3)), model(x), rtol=1e-4, atol=1e-4)
    assert class_map.shape == (2, 7, 9, 13)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 200)])
def test_any_size_from_32_px_and_any_class_count(size):
    model = timm.create_model("drn_c_26", num_classes=3, **narrow("drn_c_26")).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, *size)).shape == (1, 3)


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_d_24"])
def test_timm_interface(name):
    model = timm.create_model(name, num_classes=20, **narrow(name)).eval()
    x = torch.randn(1, 3, 64, 64)
    features = model.forward_features(x)
    assert features.shape == (1, model.num_features, 8, 8)
    assert model.forward_head(features).shape == (1, 20)
    assert model.forward_head(features, pre_logits=True).shape == (1, model.num_features)
    torch.testing.assert_close(model.forward_head(features), model(x))

    model.reset_classifier(5)
    assert model(x).shape == (1, 5)
    assert model.get_classifier() is model.fc
    model.reset_classifier(0)
    assert model(x).shape == (1, model.num_features)
    model.reset_classifier(4, "max")
    assert model(x).shape == (1, 4)

    config = timm.data.resolve_model_data_config(model)
    assert config["input_size"] == (3, 224, 224)
    assert config["mean"] == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "reductions"),
    [("drn_a_50", [2, 4, 8, 8, 8]), ("drn_c_26", [1, 2, 4, 8, 8, 8, 8, 8]), ("drn_d_22", [1, 2, 4, 8, 8, 8, 8, 8])],
)
def test_features_only(name, reductions):
    model = timm.create_model(name, features_only=True, **narrow(name))
    assert model.feature_info.reduction() == reductions
    maps = model(torch.randn(1, 3, 64, 64))
    assert [64 // m.shape[-1] for m in maps] == reductions
    assert [m.shape[1] for m in maps] == model.feature_info.channels()
    two = timm.create_model(name, features_only=True, out_indices=(1, 3), **narrow(name))
    assert len(two(torch.randn(1, 3, 64, 64))) == 2


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_d_22"])
def test_intermediates_are_those_of_features_only(name):
    x = torch.randn(1, 3, 64, 64)
    model = timm.create_model(name, num_classes=3, **narrow(name)).eval()
    maps = timm.create_model(name, features_only=True, **narrow(name)).eval()
    maps.load_state_dict(model.state_dict(), strict=False)
    last = len(model.feature_info) - 1
    with torch.inference_mode():
        expected = maps(x)
        final, found = model.forward_intermediates(x)
        torch.testing.assert_close(final, model.forward_features(x))
        for indices, taken in ((None, range(last + 1)), (2, [last - 1, last]), ([0, 2, -1], [0, 2, last])):
            found = model.forward_intermediates(x, indices, intermediates_only=True)
            torch.testing.assert_close(found, [expected[i] for i in taken])
        early, found = model.forward_intermediates(x, [1], stop_early=True)
        torch.testing.assert_close(early, found[0])
        for wrong in ({"indices": [last + 1]}, {"indices": last + 2}, {"output_fmt": "NHWC"}):
            with pytest.raises((IndexError, ValueError)):
                model.forward_intermediates(x, **wrong)
        # timm's feature getter uses both methods.
        getter = timm.create_model(name, features_only=True, feature_cls="getter", out_indices=(0, 2), **narrow(name))
        getter.eval().model.load_state_dict(model.state_dict(), strict=False)
        torch.testing.assert_close(getter(x), [expected[0], expected[2]])


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_d_22"])
def test_pruned_to_a_level_it_ends_there(name):
    x = torch.randn(1, 3, 64, 64)
    model = timm.create_model(name, num_classes=3, **narrow(name)).eval()
    with torch.inference_mode():
        third = model.forward_intermediates(x, [2], intermediates_only=True)[0]
        assert model.prune_intermediate_layers([0, 2]) == [0, 2]
        torch.testing.assert_close(model.forward_features(x), third)
        torch.testing.assert_close(model(x), third)
    assert model.num_features == third.shape[1]
    assert not any(key.startswith(("layer4", "layer8", "fc")) for key in model.state_dict())
    model.reset_classifier(5, "avg")
    assert model(x).shape == (1, 5)
    whole = timm.create_model(name, num_classes=3, **narrow(name)).eval()
    whole.prune_intermediate_layers(prune_head=False)
    assert whole(x).shape == (1, 3)


@pytest.mark.parametrize(("name", "last"), [("drn_c_26", 6), ("drn_c_58", 6), ("drn_d_24", 6), ("drn_a_50", 3)])
def test_output_stride_16_keeps_every_second_place(name, last):
    """Up to the level whose convolutions have no dilation to halve, it is the same network on a coarser grid."""
    # In float64, because convolutions of coarser maps may round differently and deep networks accumulate that.
    dense = timm.create_model(name, features_only=True, **narrow(name)).eval().double()
    strided = timm.create_model(name, features_only=True, output_stride=16, **narrow(name)).eval().double()
    strided.load_state_dict(dense.state_dict())
    assert strided.feature_info.reduction()[-1] == 16
    x = torch.randn(1, 3, 96, 64, dtype=torch.float64)
    with torch.inference_mode():
        fine, coarse = dense(x)[last], strided(x)[last]
    torch.testing.assert_close(coarse, fine[:, :, ::2, ::2], rtol=1e-4, atol=1e-4)
    classifying = timm.create_model(name, num_classes=5, output_stride=16, **narrow(name))
    assert classifying.forward_class_map(x.float()).shape == (1, 5, 6, 4)


@pytest.mark.parametrize("name", ["drn_c_26", "drn_c_58", "drn_d_24", "drn_a_50"])
def test_dense_adds_positions_between_those_of_output_stride_16(name):
    strided = build_model(name, num_classes=5, output_stride=16, **narrow(name)).eval().double()
    dense = strided.dense()
    x = torch.randn(1, 3, 97, 65, dtype=torch.float64)
    with torch.inference_mode():
        coarse, fine = strided.forward_class_map(x), dense.forward_class_map(x)
    assert fine.shape == (1, 5, 13, 9)
    torch.testing.assert_close(coarse, fine[:, :, ::2, ::2])
    assert dense.dense() is dense
    assert dense.feature_info[-1]["reduction"] == 8
    assert strided.feature_info[-1]["reduction"] == 16
    assert all(one is other for one, other in zip(strided.parameters(), dense.parameters(), strict=True))


def test_invalid_networks_are_refused_in_one_line():
    with pytest.raises(ModelError, match="drn_d_24 cannot be created: No pretrained weights"):
        create_model("drn_d_24", pretrained=True)
    for create in (create_model, build_model):
        with pytest.raises(ModelError, match="drn_c_26 cannot be created: output_stride 32 is neither 8 nor 16"):
            create("drn_c_26", output_stride=32)


def test_grad_checkpointing_changes_no_gradient():
    model = timm.create_model("drn_c_26", num_classes=2, **narrow("drn_c_26")).double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    model.eval()(x).sum().backward()
    plain = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.set_grad_checkpointing()
    for features in (model.forward_features, lambda x: model.forward_intermediates(x)[0]):
        model.zero_grad()
        runs = []
        counting = model.layer5.register_forward_pre_hook(lambda *_seen, runs=runs: runs.append(1))
        model.forward_head(features(x)).sum().backward()
        counting.remove()
        assert len(runs) == 2, "not computed again in the backward pass"
        again = [p.grad for p in model.parameters() if p.grad is not None]
        assert len(plain) == len(again)
        for a, b in zip(plain, again, strict=True):
            torch.testing.assert_close(a, b)


def test_levels_7_and_8_of_c_add_nothing():
    model = timm.create_model("drn_c_58", **narrow("drn_c_58"))
    assert not any(block.residual for level in (model.layer7, model.layer8) for block in level)
    # Unused, but present in the authors' checkpoints and therefore in ours.
    assert "layer7.0.downsample.0.weight" in model.state_dict()
    assert all(block.residual for block in model.layer6)


def test_the_module_has_a_function_for_each_network():
    for name in hashtagger.models.drn.__all__:
        assert hasattr(hashtagger.models.drn, name)
    create = pickle.loads(pickle.dumps(hashtagger.models.drn.drn_d_22))
    assert create(**narrow("drn_d_22")).num_classes == 1000


def test_official_checkpoints_are_known():
    authors = "http://dl.yf.io/drn/"
    names = ["drn_c_26", "drn_c_42", "drn_c_58", "drn_d_22", "drn_d_38", "drn_d_54", "drn_d_105"]
    for name in names:
        assert timm.get_pretrained_cfg(name).url.startswith(f"{authors}{name}-")
    assert len(timm.list_models("drn_*")) == 12
    assert hashtagger.models.drn.default_cfgs.keys() >= set(names)


@pytest.mark.parametrize("name", ["drn_a_50", "drn_c_26", "drn_d_22"])
def test_pretrained_files_load_through_timm(name, tmp_path):
    """A checkpoint as published, from before num_batches_tracked, with and without its classifier."""
    torch.manual_seed(0)
    published = timm.create_model(name, **narrow(name))
    state = {k: v for k, v in published.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "published.pth")
    arguments = {"pretrained_cfg_overlay": {"file": str(tmp_path / "published.pth")}, **narrow(name)}
    whole = timm.create_model(name, pretrained=True, **arguments)
    tags = timm.create_model(name, pretrained=True, num_classes=20, **arguments)
    grey = timm.create_model(name, pretrained=True, in_chans=1, **arguments)
    for key, tensor in state.items():
        assert torch.equal(whole.state_dict()[key], tensor), key
        if not key.startswith("fc."):
            assert torch.equal(tags.state_dict()[key], tensor), key
    assert tags(torch.randn(1, 3, 32, 32)).shape == (1, 20)
    assert grey(torch.randn(1, 1, 32, 32)).shape == (1, 1000)
