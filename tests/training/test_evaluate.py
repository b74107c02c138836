import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from hashtagger.cli import group
from hashtagger.errors import MissingExtraError, TrainingError
from hashtagger.models.find import find_weights
from hashtagger.models.weights import CHECKSUMS, load_weights, save_weights
from hashtagger.training import plots
from hashtagger.training.clean import clean
from hashtagger.training.evaluate import _by_label, evaluate
from hashtagger.training.photos import read_photos, write_manifest
from hashtagger.training.recipe import Recipe
from hashtagger.training.train import train
from hashtagger.vocabulary import Label


@pytest.fixture(scope="module")
def weights(folders, tmp_path_factory):
    """Weights that separate flower from palace fairly well, with logits scaled up so that they are overconfident."""
    out = tmp_path_factory.mktemp("weights")
    recipe = Recipe(
        vocabulary="",
        model_options={"channels": [8, 8, 8, 16, 16, 16, 16, 16]},
        sizes=(32,),
        epochs=(8,),
        batch=8,
        precision="32-true",
        learning_rate=0.05,
        crop=(0.5, 1.0),
    )
    train(folders, out, recipe, devices="cpu")
    network, config = load_weights(out / "weights.safetensors")
    with torch.no_grad():
        network.fc.weight.mul_(20)
        network.fc.bias.mul_(20)
    path = out / "sure.safetensors"
    save_weights(path, network, config)
    (out / CHECKSUMS).write_text(f"{'0' * 64}  other-file\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def manifest_of_all(folders, tmp_path_factory):
    """Photos of three splits, a further label, and two photos that no label fits."""
    lines = []
    for number, photo in enumerate(read_photos(folders)):
        split = ("train", "val", "val", "val_other")[number % 4]
        lines.append({"file": str(photo.path), "key": photo.key, "split": split, "source": f"s{number % 2}"})
    lines[5]["also"] = ["palace"]
    lines += [{**lines[number], "key": "other", "split": "val"} for number in (0, 4)]
    path = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.fixture
def manifest(manifest_of_all, tmp_path):
    """A copy that the test may change."""
    return Path(shutil.copy(manifest_of_all, tmp_path))


@pytest.fixture(scope="module")
def measured(manifest_of_all, weights, tmp_path_factory):
    """A complete evaluation: its result and its folder."""
    out = tmp_path_factory.mktemp("report")
    return evaluate(manifest_of_all, out, weights), out


@pytest.fixture(autouse=True)
def without_figures(measured, monkeypatch):
    """Skip drawing, which is slow and tested once, by ``measured``."""
    for name in vars(plots):
        if name.startswith("draw_"):
            monkeypatch.setattr(plots, name, lambda *_given: None)


def test_figures_agree_with_a_count_by_hand(weights, manifest, measured):
    from hashtagger.images import load_image
    from hashtagger.models.preprocess import preprocess

    report, _out = measured
    network, config = load_weights(weights)
    hits, confidence = [], []
    for photo in read_photos(manifest):
        if photo.split == "val" and photo.key != "other":
            logits = network(torch.from_numpy(preprocess(load_image(photo.path), config))[None])[0]
            hits.append(config.keys[logits.argmax()] in (photo.key, *photo.also))
            confidence.append(logits.softmax(0).max().item())
    val = report["sets"]["val"]
    assert val["photos"] == len(hits) == 15
    assert val["top1"]["value"] == pytest.approx(np.mean(hits))
    assert val["top1"]["low"] <= val["top1"]["value"] <= val["top1"]["high"]
    assert val["top3"]["value"] == 1
    assert val["top1"]["value"] >= val["top1_without_also"]["value"]
    assert sum(map(sum, val["confusion"])) == 15
    assert {key: row["photos"] for key, row in val["labels"].items()} == {"flower": 10, "palace": 5}
    assert sum(row["photos"] for row in val["sources"].values()) == 15
    assert sum(count for count, _mean, _part in val["bins"]) == 15
    mean = sum(count * m for count, m, _part in val["bins"]) / 15
    assert mean == pytest.approx(np.mean(confidence), abs=1e-3)
    assert set(report["sets"]) == {"val", "val_other"}
    assert report["other"]["photos"] == 2
    assert report["temperature"] == 1.0


def test_a_report_is_written(measured):
    report, out = measured
    figures = ["reliability", "confusion", "coverage", "labels", "mistakes-val", "mistakes-val_other"]
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in figures)
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["sets"].keys() == report["sets"].keys()
    text = (out / "report.md").read_text(encoding="utf-8")
    top1 = report["sets"]["val"]["top1"]
    assert f"| top-1 | {top1['value']:.3f} [{top1['low']:.3f}, {top1['high']:.3f}] |" in text
    assert "| palace | 5 |" in text


def test_calibration_goes_into_the_weights_and_nothing_else_changes(weights, manifest, tmp_path):
    path = tmp_path / "copy.safetensors"
    path.write_bytes(weights.read_bytes())
    (tmp_path / CHECKSUMS).write_text(f"{'0' * 64}  {path.name}\n{'1' * 64}  another\n", encoding="utf-8")
    with pytest.raises(Exception, match="SHA-256"):
        load_weights(path)
    (tmp_path / CHECKSUMS).unlink()
    before, _config = load_weights(path)
    (tmp_path / CHECKSUMS).write_text(f"{'1' * 64}  another\n", encoding="utf-8")
    # A network this small may be surest of a photo that no label fits, and then no threshold reaches the precision.
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join(line for line in lines if json.loads(line)["key"] != "other"), encoding="utf-8")
    report = evaluate(manifest, tmp_path / "out", path, calibrate="val")
    after, config = load_weights(path)
    assert config.temperature == report["temperature"] > 1.2
    assert config.threshold == report["threshold"]
    assert config.figures["val"]["top1"]["value"] == pytest.approx(report["sets"]["val"]["top1"]["value"], abs=1e-4)
    assert all(
        torch.equal(a, b) for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=True)
    )
    abstention = report["sets"]["val"]["abstention"]
    assert abstention["at_weights_threshold"]["threshold"] == abstention["at_90_percent_precision"]["threshold"]
    precision = abstention["at_weights_threshold"]["precision"]
    # Fitted on this very set, so the precision is reached with some coverage.
    assert precision["value"] >= 0.9
    assert abstention["at_weights_threshold"]["coverage"]["value"] > 0
    assert evaluate(manifest, tmp_path / "again", path)["sets"]["val"] == report["sets"]["val"]


def test_calibration_keeps_the_type_of_the_weights_and_renews_their_checksum(weights, manifest, tmp_path):
    path = tmp_path / "wide.safetensors"
    network, config = load_weights(weights)
    with torch.no_grad():
        network.fc.bias.add_(1e-5)
    save_weights(path, network, config, dtype=torch.float32)
    sums = tmp_path / CHECKSUMS
    sums.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n{'1' * 64}  another\n")
    before = load_file(path)
    evaluate(manifest, tmp_path / "out", path, calibrate="val")
    after = load_file(path)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(before[name], after[name]) for name in before)
    load_weights(path)
    assert sums.read_text().endswith(f"{'1' * 64}  another\n")


def test_weights_that_never_reach_the_precision_are_warned_about(weights, manifest, tmp_path, caplog):
    path = tmp_path / "mute.safetensors"
    network, config = load_weights(weights)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.zero_()
    save_weights(path, network, config)
    assert evaluate(manifest, tmp_path / "out", path, calibrate="val")["threshold"] == 1.0
    said = f"no threshold reaches 90% precision on val; {path} says nothing unless a lower threshold is given"
    assert said in caplog.text


@pytest.mark.parametrize("given", [[], ["--weights", "resnet18"]])
def test_bundled_weights_are_not_calibrated(given, weights, manifest, tmp_path, monkeypatch):
    bundled = tmp_path / "resnet18-hashtags_ko.safetensors"
    bundled.write_bytes(weights.read_bytes())
    monkeypatch.setattr("hashtagger.models.find._BUNDLED", tmp_path)
    before = bundled.read_bytes()
    arguments = ["evaluate", str(manifest), "--out", str(tmp_path / "out"), "--calibrate", "val", *given]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 1
    assert "takes one of your own: --weights FILE" in result.stderr
    assert bundled.read_bytes() == before


def test_an_onnx_file_is_refused_in_one_line(manifest, tmp_path):
    file = find_weights().with_suffix(".int8.onnx")
    result = CliRunner().invoke(group, ["evaluate", str(manifest), "--weights", str(file), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("give the .safetensors it was made from")


def test_the_interval_of_a_rare_label_comes_from_draws_that_hold_it():
    truth = np.array([0] * 3 + [1] * 97)
    said = np.array([0] * 3 + [1] * 96 + [2])
    labels = _by_label(truth, said, ["rare", "common", "absent"])
    assert list(labels) == ["rare", "common", "absent"]
    assert labels["absent"] == {"photos": 0, "precision": None, "recall": None, "f1": None}
    for rate in ("precision", "recall", "f1"):
        assert labels["rare"][rate] == {"value": 1, "low": 1, "high": 1}
    # A label that is never predicted has rates of 0.
    missed = _by_label(truth, np.ones_like(truth), ["rare", "common", "absent"])["rare"]
    assert missed["precision"] == missed["recall"] == {"value": 0, "low": 0, "high": 0}


def test_figures_name_labels_by_their_tags(folders, weights, tmp_path, monkeypatch):
    """The tags come from the file if its vocabulary is not installed."""
    path = tmp_path / "tagged.safetensors"
    network, config = load_weights(weights)
    labels = (Label("flower", "꽃밭", "Flower bed"), Label("palace", "궁궐", "Palace"))
    save_weights(path, network, dataclasses.replace(config, vocabulary="garden", labels=labels))
    shown = []
    monkeypatch.setattr(plots, "draw_labels", lambda _sets, tags, _path: shown.append(tags))
    evaluate(folders, tmp_path / "out", path)
    assert shown == [{"flower": "꽃밭", "palace": "궁궐"}]


def test_calibration_takes_the_split_that_is_named(weights, manifest, folders, tmp_path):
    path = tmp_path / "copy.safetensors"
    path.write_bytes(weights.read_bytes())
    for data, split in ((manifest, "val_other"), (folders, "all")):
        report = evaluate(data, tmp_path / "out", path, calibrate=split)
        abstention = report["sets"][split]["abstention"]
        assert abstention["at_weights_threshold"]["threshold"] == abstention["at_90_percent_precision"]["threshold"]
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="no split test to calibrate on; there are: val, val_other"):
        evaluate(manifest, tmp_path / "out", path, calibrate="test")
    assert path.read_bytes() == before


def test_a_label_without_photos_is_in_the_report(weights, folders, tmp_path):
    photos = [photo for photo in read_photos(folders) if photo.key == "flower"]
    write_manifest(photos, tmp_path / "photos.jsonl")
    evaluate(tmp_path / "photos.jsonl", tmp_path, weights)
    assert "| palace | 0 | – | – | – |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_class_folders_are_one_set(weights, folders, tmp_path):
    alone = shutil.copy(weights, tmp_path / "alone.safetensors")
    report = evaluate(folders, tmp_path, alone)
    assert list(report["sets"]) == ["all"]
    assert report["sets"]["all"]["photos"] == 30
    assert report["other"] == {"photos": 0, "said": 0, "labels": {}}
    assert "silent_on_other" not in report["sets"]["all"]["abstention"]["at_weights_threshold"]


def test_photos_that_the_run_learned_from_are_left_out_unless_a_split_says_otherwise(
    weights, folders, tmp_path, caplog
):
    report = evaluate(folders, tmp_path, weights)
    assert report["sets"]["all"]["photos"] == 9
    assert f"{weights.with_name('photos.jsonl')}: 21 of the photos were used for training" in caplog.text
    photos = [dataclasses.replace(photo, split="seen") for photo in read_photos(folders)]
    write_manifest(photos, tmp_path / "seen.jsonl")
    assert evaluate(tmp_path / "seen.jsonl", tmp_path, weights)["sets"]["seen"]["photos"] == 30


def test_labels_that_the_network_lacks_are_refused(weights, manifest, tmp_path):
    text = manifest.read_text().replace('"key": "palace", "split": "val"', '"key": "castle", "split": "val"')
    manifest.write_text(text)
    with pytest.raises(TrainingError, match=r"the labels castle; measure on the photos\.jsonl of its run"):
        evaluate(manifest, tmp_path / "out", weights)


def test_the_command_prints_one_json_document_and_lists_unreadable_photos(weights, manifest, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    with manifest.open("a") as file:
        file.write('\n{"file": "broken.png", "key": "flower", "split": "val"}')
    arguments = ["evaluate", str(manifest), "--weights", str(weights), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["sets"]["val"]["photos"] == 15
    assert "broken.png: empty" in result.stderr
    shown = CliRunner().invoke(group, arguments[:-1])
    assert "val: 15 photos, top-1" in shown.stdout


def test_a_split_of_unreadable_photos_is_reported_and_left_out(weights, manifest, tmp_path):
    with manifest.open("a", encoding="utf-8") as file:
        file.write('\n{"file": "absent-\\udcb2.png", "key": "flower", "split": "test"}')
    report = evaluate(manifest, tmp_path / "out", weights)
    assert set(report["sets"]) == {"val", "val_other"}
    assert report["problems"][-1] == f"{manifest}: no photo in split test can be read"
    assert r"absent-\udcb2.png: no such file" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    before = weights.read_bytes()
    with pytest.raises(TrainingError, match="no photo in split test can be read"):
        evaluate(manifest, tmp_path / "out", weights, calibrate="test")
    assert weights.read_bytes() == before


def test_a_missing_package_is_named_before_any_work(weights, folders, tmp_path, monkeypatch):
    from importlib import util

    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "matplotlib" else found(name, *rest))
    for work in (
        lambda: evaluate(folders, tmp_path / "out", weights),
        lambda: clean(folders, tmp_path / "out", weights=weights),
        lambda: train(folders, tmp_path / "out", Recipe(vocabulary="")),
    ):
        with pytest.raises(MissingExtraError, match="matplotlib"):
            work()
    assert not (tmp_path / "out").exists()
