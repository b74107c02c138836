import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from hashtagger.cli import group
from hashtagger.cli.export import _calibration
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.find import find_weights
from hashtagger.models.weights import CHECKSUMS, fingerprint, load_weights, read_config, save_weights, verify
from hashtagger.recommend import Recommender
from hashtagger.vocabulary import Label

pytest.importorskip("onnxscript")
NARROW = {"channels": [8] * 8}


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(group, [str(a) for a in arguments])


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig("drn_c_26", "fruit", ("a", "b"), 48, model_args=NARROW, figures={"val": {"photos": 1}})
    save_weights(tmp_path / "x.safetensors", create_model("drn_c_26", num_classes=2, **NARROW).eval(), config)
    return tmp_path / "x.safetensors"


@pytest.fixture
def labelled(tmp_path, sample_photos):
    for key, photo in zip("ab", sample_photos.values(), strict=True):
        (tmp_path / "photos" / key).mkdir(parents=True)
        shutil.copy(photo, tmp_path / "photos" / key)
    return tmp_path / "photos"


def test_float_exports_agree_with_the_network_and_give_its_scores_in_the_documents_ways(
    run, weights, labelled, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(next(labelled.rglob("*.jpg")), "dog.jpg")
    config = replace(read_config(weights), labels=(Label("a", "하나", "One"), Label("b", "둘", "Two")), temperature=2.0)
    save_weights(weights, load_weights(weights)[0], config, torch.float32)
    for kind in ("onnx", "pt2"):
        result = run("export", "--weights", weights, "--check", labelled, "--json", f"net.{kind}")
        assert result.exit_code == 0, result.output
        said = json.loads(result.stdout)
        assert said["bytes"] == Path(f"net.{kind}").stat().st_size
        assert (said["photos"], said["agreement"]) == (2, 1.0)
        assert said["difference"] < 1e-3
        assert said["top1"] == said["top1_float"]
    expected = Recommender(weights=weights, runtime="torch").scores(["dog.jpg"])[0]
    assert np.allclose(Recommender(weights="net.onnx").scores(["dog.jpg"])[0], expected, atol=0.01)
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 2
    names: dict[str, Any] = {}
    for snippet in snippets:
        exec(snippet, names)
        assert np.allclose(names["scores"], expected, atol=0.01)
    best = ("하나", "둘")[expected.argmax()]
    shown = re.match(rf"{best} (\d+)%", capsys.readouterr().out)
    assert shown
    assert int(shown[1]) == pytest.approx(100 * expected.max(), abs=1.5)  # torch may compute in bfloat16
    result = run("recommend", "dog.jpg", "--weights", "net.onnx", "--threshold", 0, "--json")
    assert json.loads(result.stdout)[0]["tags"][0]["tag"] == best
    assert "net.pt2: a program for torch.export.load" in run("recommend", "dog.jpg", "--weights", "net.pt2").stderr


def test_int8_says_what_it_was_made_from_and_what_it_costs_and_renews_its_checksum(run, weights, labelled):
    out = weights.with_suffix(".int8.onnx")
    sums = weights.with_name(CHECKSUMS)
    (labelled / "bad.jpg").write_bytes(b"no photo")
    arguments = ["export", "--weights", weights, "--int8", "--calibrate", labelled, out]
    assert run(*arguments).exit_code == 0
    assert read_config(out).figures == {"val": {"photos": 1}, "int8": {"made_from": fingerprint(weights)}}
    sums.write_text(f"{'0' * 64}  {out.name}\n{'1' * 64}  another\n")
    result = run(*arguments, "--check", labelled)
    assert result.exit_code == 0, result.output
    assert "2 photos: the same label first on" in result.stdout
    assert "bad.jpg: not a photo" in result.stderr
    cost = read_config(out).figures["int8"]
    assert set(cost) == {"photos", "agreement", "difference", "top1", "top1_float", "made_from"}
    verify(out)
    assert "0" * 64 not in sums.read_text()
    assert sums.read_text().endswith(f"{'1' * 64}  another\n")


def test_the_bundled_network_keeps_its_answers_in_int8(run, shared, tmp_path):
    """A few photos only; `make int8` compares on all."""
    for key in ("cat", "chicken", "selfie"):
        (tmp_path / "photos" / key).mkdir(parents=True)
        for photo in sorted((shared / "photos" / "val" / key).iterdir())[:6]:
            shutil.copy(photo, tmp_path / "photos" / key)
    photos = tmp_path / "photos"
    out = tmp_path / "x.int8.onnx"
    said = json.loads(run("export", "--int8", "--calibrate", photos, "--check", photos, "--json", out).stdout)
    assert said["photos"] == 18
    assert said["agreement"] >= 0.9
    assert out.stat().st_size < 0.6 * find_weights().stat().st_size


@pytest.mark.parametrize(("photos", "step"), [(3, 1), (4, 1), (5, 2), (7, 2), (9, 3)])
def test_calibration_photos_are_spread_over_the_whole_folder(monkeypatch, tmp_path, photos, step):
    monkeypatch.setattr("hashtagger.cli.export._CALIBRATION", 4)
    for shade in range(photos):
        Image.new("L", (32, 32), 10 * shade).save(tmp_path / f"{shade}.png")
    config = ModelConfig("drn_c_26", "", ("a", "b"), 32, mean=(0.0,) * 3, std=(1.0,) * 3)
    seen = np.concatenate(list(_calibration(tmp_path, config))).mean(axis=(1, 2, 3)) * 25.5
    assert seen.round().tolist() == list(range(0, photos, step))


def test_users_mistakes(run, weights, labelled, tmp_path):
    for arguments, said in (
        (["x.bin"], "OUT must end in .onnx or .pt2"),
        (["--format", "pt2", "x.onnx"], "OUT must end in .pt2"),
        (["--int8", "--calibrate", labelled, "x.pt2"], "--int8 goes with"),
    ):
        result = run("export", "--weights", weights, *arguments)
        assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    for arguments in (["--int8"], ["--calibrate", labelled]):
        result = run("export", "--weights", weights, *arguments, tmp_path / "x.onnx")
        assert result.exit_code == 2
        assert "--int8 goes with --calibrate" in result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("export", "--weights", weights, "--int8", "--calibrate", empty, tmp_path / "x.onnx")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no photos in" in result.stderr
    result = run("export", "--weights", weights, tmp_path / "no folder" / "x.onnx")
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path / 'no folder'}: no such folder\n")
    assert "no such weights file" in run("export", "--weights", tmp_path / "no.safetensors", tmp_path / "x.onnx").stderr


def test_info_explains_the_choice(run):
    said = json.loads(run("info", "--json").stdout)
    hashtags, other = [one for one in said["vocabularies"] if one["name"] == "hashtags_ko"]
    assert other["architecture"] == "tf_efficientnet_lite2"
    assert hashtags["weights"] == str(find_weights("hashtags_ko"))
    assert hashtags["architecture"] == "drn_c_26"
    assert hashtags["labels"] == hashtags["learned"] == 20
    assert hashtags["runtime"] in ("torch", "onnx")
    assert hashtags["why"]
    assert (hashtags["cost"] is None) == (hashtags["runtime"] == "torch")
    assert [one["weights"] for one in said["vocabularies"] if one["name"] == "landmarks_seoul"] == [None]
    assert said["runtimes"]["torch"]
    spoken = run("info").stdout
    assert "its cost: none but rounding, cpu (float32)" in spoken  # the other one's, in onnxruntime
    for word in (said["version"], said["cpu"]["name"], hashtags["weights"], hashtags["why"]):
        assert word in spoken


def test_info_goes_on_where_weights_are_damaged(run, tmp_path, monkeypatch):
    (tmp_path / "x-heroes.safetensors").write_bytes(b"no")
    monkeypatch.setattr("hashtagger.models.find._BUNDLED", tmp_path)
    monkeypatch.setattr("hashtagger.models.find.cache_folder", lambda: tmp_path)
    result = run("info")
    assert result.exit_code == 0, result.output
    assert "x-heroes.safetensors: truncated" in result.stdout


def test_info_imports_no_torch_on_a_machine_without_gpu():
    code = (
        "import sys; from hashtagger.models import device; device._may_have_accelerator = lambda: False;"
        "from hashtagger.cli import group; group(['info', '--json'], standalone_mode=False);"
        "sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert process.returncode == 0
