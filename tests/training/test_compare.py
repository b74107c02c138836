import csv
import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from hashtagger.cli import group
from hashtagger.errors import ModelError, TrainingError, WeightsError
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.weights import save_weights
from hashtagger.training import recipe as recipes
from hashtagger.training import sweep as sweeps
from hashtagger.training.compare import compare
from hashtagger.training.compare_report import to_markdown
from hashtagger.training.network import count_macs
from hashtagger.training.recipe import Recipe
from hashtagger.training.sweep import load_sweep


@pytest.fixture
def quick(recipe):
    return dataclasses.replace(
        recipe, model="sequential_cnn", model_options={"width": 4, "depth": 3}, sizes=(32,), epochs=(2,)
    )


def untrained(recipe, folder):
    """Save an untrained network of a recipe, for `flower` and `palace`."""
    path, options = folder / "start.safetensors", dict(recipe.model_options)
    network = create_model(recipe.model, num_classes=2, **options)
    save_weights(path, network, ModelConfig(recipe.model, "", ("flower", "palace"), 32, model_args=options))
    return path


def test_macs_match_a_count_by_hand():
    recipe = Recipe(model="sequential_cnn", sizes=(128,), epochs=(1,))
    by_hand = 9 * 32 * (128**2 * 3 + (64**2 + 32**2 + 16**2 + 8**2 + 4**2) * 32)
    assert count_macs(recipe, 17) == by_hand + 128 * 17
    # Published as 4.1 and 0.57 billion at 224 px.
    for model, giga in (("resnet50", 4.1), ("mobilenetv1_100", 0.57)):
        recipe = Recipe(model=model, sizes=(224,), epochs=(1,))
        assert count_macs(recipe, 1000) == pytest.approx(giga * 1e9, rel=0.02)


def test_the_same_photos_side_by_side(folders, quick, tmp_path):
    path, sweep, out = tmp_path / "quick.toml", tmp_path / "two.toml", tmp_path / "out"
    path.write_text(quick.to_toml(), encoding="utf-8")
    tries = "[tries.narrow]\n[tries.wide]\nmodel_options = {width = 8, depth = 3}\n"
    sweep.write_text(f"recipe = '{path}'\n{tries}", encoding="utf-8")
    arguments = ["compare", folders, "--sweep", sweep, "--devices", "cpu", "--out", out, "--json"]
    result = CliRunner().invoke(group, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == ["narrow", "wide"]
    splits = [(out / name / "photos.jsonl").read_text() for name in ("narrow", "wide")]
    assert splits[0] == splits[1]
    for row in rows:
        run = json.loads((out / row["name"] / "run.json").read_text(encoding="utf-8"))
        assert (row["epochs"], row["train_seconds"]) == (2, run["seconds"])
        assert 0 <= row["top1"]["low"] <= row["top1"]["value"] <= row["top1"]["high"] <= 1
        assert row["top3"]["value"] == 1
        assert min(row[name] for name in ("train_seconds", "images_per_second", "latency_ms", "megabytes", "loss")) > 0
    assert rows[1]["macs"] > rows[0]["macs"]
    assert rows[0]["parameters"] == 4 * (27 + 1) + 2 * 4 * (36 + 1) + 2 * (16 + 1)
    with (out / "comparison.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [float(row["top1_low"]) for row in written] == [row["top1"]["low"] for row in rows]
    table = (out / "comparison.md").read_text(encoding="utf-8")
    assert table == to_markdown(rows)
    assert len({line.count("|") for line in table.splitlines()}) == 1
    for name in ("comparison.png", "scatter.png"):
        with Image.open(out / name) as image:
            assert image.width > 300
    with pytest.raises(TrainingError, match=r"narrow: already exists; choose another folder"):
        compare(folders, out, {"narrow": quick}, devices="cpu")


def test_each_try_starts_from_the_given_weights(folders, quick, tmp_path):
    still = dataclasses.replace(quick, learning_rate=0.0, epochs=(1,))
    start = untrained(quick, tmp_path)
    compare(folders, tmp_path / "out", {"a": still, "b": still}, init=start, devices="cpu")
    before = load_file(start)
    for name in "ab":
        after = load_file(tmp_path / "out" / name / "weights.safetensors")
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_compare_uses_one_device(folders, quick, tmp_path, monkeypatch):
    asked = []

    def started(*_given, devices, **_settings):
        asked.append(devices)
        raise InterruptedError

    monkeypatch.setattr("hashtagger.training.compare.train", started)
    for devices in ("auto", "1", "cpu"):
        with pytest.raises(InterruptedError):
            compare(folders, tmp_path, {"a": quick}, devices=devices)
    assert asked == ["1", "1", "cpu"]
    for devices in ("2", "0,1"):
        with pytest.raises(TrainingError, match=f"devices '{devices}': compare takes one"):
            compare(folders, tmp_path, {"a": quick}, devices=devices)


def test_untrainable_recipes_are_refused_before_any_training(folders, quick, tmp_path):
    for recipe, error, said in (
        (dataclasses.replace(quick, model="no_such_net"), ModelError, "no network 'no_such_net'"),
        (dataclasses.replace(quick, model="inception_v3", model_options={}), TrainingError, "inception_v3 .* 32 px"),
        (dataclasses.replace(quick, teachers=("absent.safetensors",)), WeightsError, "no such weights file"),
    ):
        with pytest.raises(error, match=said) as raised:
            compare(folders, tmp_path / "out", {"good": quick, "bad": recipe}, devices="cpu")
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "out").exists()
    start = untrained(quick, tmp_path)
    tries = {"good": quick, "bad": dataclasses.replace(quick, model="resnet18", model_options={})}
    with pytest.raises(WeightsError, match="of another network"):
        compare(folders, tmp_path / "out", tries, init=start, devices="cpu")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_one_table(folders, quick, tmp_path):
    path = tmp_path / "quick.toml"
    path.write_text(dataclasses.replace(quick, epochs=(1,)).to_toml(), encoding="utf-8")
    common = [str(folders), "--devices", "cpu", "--out"]
    arguments = ["--models", "sequential_cnn", "--recipe", str(path)]
    result = CliRunner().invoke(group, ["compare", *common, str(tmp_path / "1"), *arguments])
    assert result.exit_code == 0, result.output
    assert [line.split(" | ")[0] for line in result.stdout.splitlines()] == ["| try", "| ---", "| sequential_cnn"]
    neither_or_both = "either --models or --sweep"
    for wrong, said in (
        ([], neither_or_both),
        (["--models", "a", "--sweep", "b"], neither_or_both),
        (["--models", "a, a"], "--models names a network twice"),
    ):
        result = CliRunner().invoke(group, ["compare", *common, str(tmp_path / "2"), *wrong])
        assert result.exit_code == 2
        assert said in result.stderr


@pytest.mark.parametrize("name", sweeps.available())
def test_bundled_sweeps_load(name):
    tries = load_sweep(name)
    assert len(tries) > 1
    assert len(set(map(str, tries.values()))) == len(tries)


def test_the_studys_sweep_changes_one_thing_a_try():
    tries = load_sweep("landmarks_world")
    assert tries.pop("study") == recipes.load_recipe("landmarks_world")
    assert tries["relu"].model_options == {"activation": "relu"}
    assert {one.model for one in tries.values()} == {"sequential_cnn"}
    for recipe in tries.values():
        assert count_macs(recipe, 17) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipe = 'landmarks_world'", "has a recipe and tables"),
        ("[tries.a]", "has a recipe and tables"),
        ("recipe = 'nothing'\n[tries.a]", "no recipe 'nothing'"),
        ("recipe = 'heroes'\n[tries.a]\ncolour = 1", "has no 'colour'"),
        ("recipe = 'heroes'\n[tries]\na = 1", "try 'a'"),
        ("recipe = 'heroes'\n[tries.'../a']", "try '../a'"),
        ("recipe = [", "Invalid"),
    ],
)
def test_bad_sweeps_say_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=said):
        load_sweep(path)


def test_an_unknown_sweep_lists_what_exists():
    with pytest.raises(TrainingError, match="no sweep 'nothing'; there are: .*landmarks_world"):
        load_sweep("nothing")
