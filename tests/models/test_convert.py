import pickle

import numpy as np
import pytest
import torch

from hashtagger.errors import WeightsError
from hashtagger.models import create_model
from hashtagger.models.convert import convert, recognize
from hashtagger.models.dilated import VARIANTS
from hashtagger.models.find import find_weights
from hashtagger.models.weights import load_weights, replacing
from hashtagger.recommend import Recommender


@pytest.fixture(scope="module")
def official():
    """A network like the DRN authors' checkpoints: plain keys, 1000 outputs."""
    torch.manual_seed(0)
    return create_model("drn_c_26", num_classes=1000).eval()


def test_official_checkpoint(official, tmp_path):
    torch.save(official.state_dict(), tmp_path / "drn_c_26-ddedf421.pth")
    config = convert(tmp_path / "drn_c_26-ddedf421.pth", tmp_path / "new.safetensors")
    assert (config.architecture, config.vocabulary, len(config.keys)) == ("drn_c_26", "", 1000)
    assert (config.image_size, config.mean) == (224, (0.485, 0.456, 0.406))
    model, _ = load_weights(tmp_path / "new.safetensors")
    for key, tensor in official.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[key]), key


def test_the_original_studys_checkpoint(official, tmp_path, sample_photos):
    """A training checkpoint with `DataParallel` keys, no num_batches_tracked, and 1000 outputs of which 20 are used."""
    state = {f"module.{k}": v for k, v in official.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({"epoch": 10, "best_prec1": 73.0, "state_dict": state}, tmp_path / "old.pth")
    config = convert(tmp_path / "old.pth", tmp_path / "new.safetensors")
    assert (config.vocabulary, config.image_size, config.mean, config.std) == (
        "hashtags_ko",
        300,
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
    )
    recommender = Recommender(weights=tmp_path / "new.safetensors")
    assert recommender.image_size == 300
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        np.testing.assert_allclose(recommender.model.cpu()(x), official(x)[:, :20], rtol=1e-4, atol=1e-4)
    assert recommender.scores([sample_photos["flower"]]).shape == (1, 20)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_drn_is_recognized(name):
    with torch.device("meta"):
        state = create_model(name, num_classes=11).state_dict()
    assert recognize(state, "x") == name


def test_a_weights_file_is_not_converted_again_into_one_without_labels(tmp_path):
    with pytest.raises(WeightsError, match="already a weights file"):
        convert(find_weights("heroes"), tmp_path / "new.safetensors")
    (tmp_path / "new.safetensors").mkdir()
    with (
        pytest.raises(IsADirectoryError, match=r"new\.safetensors'"),
        replacing(tmp_path / "new.safetensors"),
    ):
        raise AssertionError("a folder in the place of the file")


def test_code_in_a_checkpoint_is_refused(tmp_path):
    class Malice:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"module.x": Malice()}))
    torch.save({"module.x": Malice()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(WeightsError, match=f"{name}: refused"):
            convert(tmp_path / name, tmp_path / "new.safetensors")
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "new.safetensors").exists()


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_unusable_files(official, tmp_path):
    # The right shapes, but each tensor is a single number on disk, expanded with strides of 0.
    whole = {key: torch.zeros(()).expand(tensor.shape) for key, tensor in official.state_dict().items()}

    def fails(content, match):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(WeightsError, match=match):
            convert(tmp_path / "x.pth", tmp_path / "new.safetensors")

    fails({"a": 1}, "holds no state dict")
    fails([torch.zeros(1)], "holds no state dict")
    fails(torch.nn.Linear(2, 2).state_dict(), "not a DRN checkpoint: nearest is drn_")
    few = {f"module.{k}": v[:5] if k.startswith("fc.") else v for k, v in whole.items()}
    fails(few, "5 outputs, expected at least 20")
    for bias in (torch.zeros(1000).to_sparse(), torch.zeros(1000, device="meta")):
        fails({**whole, "fc.bias": bias}, "holds no state dict")
    fails({**whole, "fc.bias": torch.zeros(())}, r"fc\..* has shape")
    cut = {key: tensor for key, tensor in whole.items() if key != "layer5.0.conv1.weight"}
    fails(cut, r"nearest is drn_c_26, from which 1 tensors differ, first layer5\.0\.conv1\.weight")

    torch.save(whole, tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("half.pth", "empty.pth", "absent.pth"):
        with pytest.raises(WeightsError, match=name) as raised:
            convert(tmp_path / name, tmp_path / "new.safetensors")
        assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        convert(tmp_path / "whole.pth", tmp_path / "new.pth")
