import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
import torch

from hashtagger.errors import ModelError, WeightsError
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.find import find_weights
from hashtagger.models.weights import CHECKSUMS, load_weights, read_config, replacing, save_weights, verify
from hashtagger.vocabulary import Label

NARROW = {"channels": [4, 4, 8, 8, 8, 8, 8, 8]}
CONFIG = ModelConfig(
    "drn_c_26", "hashtags_ko", ("a", "b", "c"), 64, temperature=1.25, threshold=0.4, model_args=NARROW, figures={"n": 1}
)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = create_model("drn_c_26", num_classes=3, **NARROW).eval()
    path = tmp_path / "drn_c_26-abc.safetensors"
    save_weights(path, model, CONFIG, dtype=torch.float32)
    return model, path


def test_round_trip_is_bit_equal(saved):
    model, path = saved
    loaded, config = load_weights(path)
    assert config == CONFIG
    assert not loaded.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[key]), key
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model(x), loaded(x))


def test_float16_round_trip_is_stable(saved, tmp_path):
    model, _ = saved
    paths = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    save_weights(paths[0], model, CONFIG)
    save_weights(paths[1], load_weights(paths[0])[0], CONFIG)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_the_labels_travel_along_whole(saved, tmp_path):
    details = {"country": {"ko": "대한민국", "en": "South Korea"}, "latitude": 37.56, "opened": date(1398, 2, 7)}
    gate = Label("gate", "숭례문", "Sungnyemun Gate", ("남대문", "namdaemun"), details)
    path = tmp_path / "gate.safetensors"
    save_weights(path, saved[0], replace(CONFIG, labels=(gate,)))
    (read,) = read_config(path).labels
    assert read == replace(gate, details={**details, "opened": "1398-02-07"})


def test_configs_of_older_files_say_their_tags():
    said = {"architecture": "x", "vocabulary": "", "keys": ["a", "b"], "image_size": 32, "tags": ["사과", "배"]}
    assert ModelConfig.from_json(json.dumps(said)).labels == (Label("a", "사과", "a"), Label("b", "배", "b"))
    assert ModelConfig.from_json(json.dumps({**said, "tags": []})).labels == ()
    with pytest.raises(ValueError, match="key"):
        ModelConfig.from_json(json.dumps({**said, "labels": [{"nothing": 1}]}))


def test_bundled_weights_are_found_and_verified():
    path = find_weights("hashtags_ko")
    config = read_config(path)
    assert config.vocabulary == "hashtags_ko"
    assert len(config.keys) == 20
    assert path.name in (path.parent / CHECKSUMS).read_text()
    verify(path)


@pytest.mark.parametrize("dtype", [torch.float16, None])
def test_values_that_the_type_cannot_hold_are_refused(saved, dtype):
    model, path = saved
    before = path.read_bytes()
    with torch.no_grad():
        model.fc.bias[0] = 1e5
    with pytest.raises(WeightsError, match=r"abc\.safetensors: fc\.bias has values too large for torch\.float16"):
        save_weights(path, model, CONFIG, dtype)
    assert path.read_bytes() == before
    save_weights(path, model, CONFIG, torch.float32)
    assert load_weights(path)[0].fc.bias[0] == 1e5


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_alone(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write():
        with replacing(path) as partial:
            partial.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["null", "[1]", '{"keys": 5}', "{}"])
def test_an_invalid_config_is_a_value_error(text):
    with pytest.raises(ValueError, match="\\w"):
        ModelConfig.from_json(text)


def test_checksum_catches_a_changed_byte(saved):
    _, path = saved
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / CHECKSUMS).write_text(f"{digest}  {path.name}\n")
    load_weights(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_weights(path)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated(saved, keep):
    _, path = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"drn_c_26-abc\.safetensors: truncated"):
        load_weights(path)


def test_wrong_files(saved, tmp_path):
    model, path = saved
    with pytest.raises(WeightsError, match="no such weights file"):
        load_weights(tmp_path / "absent.safetensors")
    pth = tmp_path / "old.pth"
    torch.save(model.state_dict(), pth)
    with pytest.raises(WeightsError, match="hashtagger convert old.pth"):
        load_weights(pth)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="does not name its network"):
        load_weights(tmp_path / "foreign.safetensors")
    save_weights(path, model, ModelConfig("no_such_net", "", ("a", "b", "c"), 64))
    with pytest.raises(ModelError, match="no network 'no_such_net'"):
        load_weights(path)


def test_other_architecture_or_class_count_says_expected_and_found(saved):
    model, path = saved
    save_weights(path, model, ModelConfig("drn_d_22", "", ("a", "b", "c"), 64, model_args=NARROW))
    with pytest.raises(WeightsError, match="another network: .* missing .* unknown"):
        load_weights(path)
    save_weights(path, model, ModelConfig("drn_c_26", "", ("a", "b"), 64, model_args=NARROW))
    with pytest.raises(WeightsError, match=r"fc\.weight has shape \[3, 8, 1, 1\], expected \[2, 8, 1, 1\]"):
        load_weights(path)


@pytest.mark.parametrize(
    "reserved",
    [{"pretrained": True, "pretrained_cfg": {"file": "x.pth"}}, {"checkpoint_path": "x.pth"}, {"num_classes": 5}],
)
def test_metadata_may_not_name_other_files(saved, reserved):
    model, path = saved
    save_weights(path, model, replace(CONFIG, model_args={**NARROW, **reserved}))
    with pytest.raises(WeightsError, match=rf"abc\.safetensors: its metadata may not set {', '.join(reserved)}$"):
        load_weights(path)


def test_reading_the_config_does_not_import_torch():
    code = (
        "import sys; from hashtagger.models.find import find_weights\n"
        "from hashtagger.models.weights import read_config\n"
        "read_config(find_weights()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
