"""A custom label set, from a folder of photos to the command that uses it, and the recipes of the studies."""

import dataclasses
import json
import shutil
from collections import Counter

import pytest
import torch
from click.testing import CliRunner

from hashtagger.cli import group
from hashtagger.cli.train import adapt
from hashtagger.errors import ModelError, TrainingError
from hashtagger.models.weights import read_config
from hashtagger.training.photos import OTHER, read_photos
from hashtagger.training.recipe import Recipe, load_recipe
from hashtagger.training.train import train


@pytest.fixture
def quick(recipe):
    return dataclasses.replace(
        recipe, model="sequential_cnn", model_options={"width": 4, "depth": 3}, sizes=(32,), epochs=(1,)
    )


@pytest.fixture
def gardens(folders, tmp_path):
    """Three classes, one of them with 2 photos, and a fourth that is not a label of the vocabulary."""
    data = tmp_path / "data"
    shutil.copytree(folders, data)
    for key, start, count in (("hedge", 0, 2), ("fence", 2, 3)):
        (data / key).mkdir()
        for number in range(start, start + count):
            shutil.copy(folders / "palace" / f"{number:02}.png", data / key)
            (data / "palace" / f"{number:02}.png").unlink()
    vocabulary = tmp_path / "garden.toml"
    labels = (("flower", "꽃밭"), ("hedge", "울타리"), ("palace", "궁궐"))
    vocabulary.write_text(
        "".join(f'[[labels]]\nkey = "{key}"\ntag = "{tag}"\nname = "{key}"\n' for key, tag in labels), encoding="utf-8"
    )
    return data, vocabulary


def test_a_fresh_vocabulary_is_trained_and_used_without_touching_code(gardens, quick, tmp_path, sample_photos):
    data, vocabulary = gardens
    shutil.rmtree(data / "fence")
    path, out = tmp_path / "quick.toml", tmp_path / "run"
    path.write_text(quick.to_toml(), encoding="utf-8")
    arguments = ["train", data, "--recipe", path, "--vocabulary", vocabulary, "--report", "--out", out]
    result = CliRunner().invoke(group, [*map(str, arguments), "--devices", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("report.md")
    config = read_config(out / "weights.safetensors")
    assert (config.vocabulary, config.keys) == ("garden", ("flower", "hedge", "palace"))
    assert [label.tag for label in config.labels] == ["꽃밭", "울타리", "궁궐"]
    # Measured on the held-out photos only.
    kept = [photo for photo in read_photos(out / "photos.jsonl") if photo.split == "val"]
    report = json.loads((out / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["sets"]["val"]["photos"] == len(kept) < 25
    assert "val" in config.figures
    vocabulary.unlink()
    arguments = ["recommend", "--json", "--threshold", "0", "--weights", out / "weights.safetensors"]
    result = CliRunner().invoke(group, [*map(str, arguments), str(sample_photos["flower"])], catch_exceptions=False)
    assert {tag["tag"] for tag in json.loads(result.stdout)[0]["tags"]} == {"꽃밭", "울타리", "궁궐"}


def test_folders_of_korean_names_are_labels_and_hashtags_by_default(folders, tmp_path, sample_photos):
    for key, name in (("flower", "꽃밭"), ("palace", "우리궁궐")):
        shutil.copytree(folders / key, tmp_path / "photos" / name)
    out = tmp_path / "run"
    small = ["--model", "sequential_cnn", "--size", "32", "--epochs", "1", "--devices", "cpu"]
    arguments = ["train", str(tmp_path / "photos"), *small, "--report", "--out", str(out)]
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    arguments = ["recommend", "--json", "--threshold", "0", "--weights", str(out / "weights.safetensors")]
    result = CliRunner().invoke(group, [*arguments, str(sample_photos["flower"])], catch_exceptions=False)
    assert {tag["tag"] for tag in json.loads(result.stdout)[0]["tags"]} == {"꽃밭", "우리궁궐"}


def test_other_keys_and_labels_of_few_photos_teach_what_fits_none(gardens, quick, tmp_path):
    data, vocabulary = gardens
    recipe = dataclasses.replace(quick, vocabulary=str(vocabulary))
    with pytest.raises(TrainingError, match="3 photos have keys that vocabulary .* lacks: fence"):
        train(data, tmp_path / "run", recipe, devices="cpu")
    recipe = dataclasses.replace(recipe, other=("fence",), min_photos=3, balance_to=10)
    run = train(data, tmp_path / "run", recipe, devices="cpu")
    config = read_config(run["weights"])
    assert config.keys == ("flower", "palace")
    photos = read_photos(tmp_path / "run" / "photos.jsonl")
    assert Counter(photo.key for photo in photos) == {"flower": 20, "palace": 5, OTHER: 5}
    # Written for training photos only.
    assert run["photos"]["train"]["palace"] == 10
    variations = list((tmp_path / "run" / "variations").rglob("*.jpg"))
    assert len(variations) == 10 - (5 - run["photos"]["val"]["palace"]) > 0
    assert {path.parent.name for path in variations} == {"palace"}


def test_adam_halves_its_rate_on_a_plateau_down_to_the_floor(folders, quick, tmp_path):
    recipe = dataclasses.replace(
        quick, optimizer="adam", schedule="plateau", learning_rate=1e-5, floor=4e-6, patience=0, epochs=(5,), ema=0
    )
    train(folders, tmp_path / "run", recipe, devices="cpu")
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=False)
    rates = [group["lr"] for group in state["optimizer_states"][0]["param_groups"]]
    assert rates == [4e-6, 4e-6]
    assert "exp_avg_sq" in state["optimizer_states"][0]["state"][0]


def test_another_network_comes_with_its_own_preprocessing():
    recipe = Recipe(model_options={"channels": [8] * 8})
    other = adapt(recipe, "resnet50", None, None)
    assert (other.mean, other.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert other.model_options == {}
    assert adapt(recipe, "inception_v3", None, None).mean == (0.5, 0.5, 0.5)
    assert adapt(recipe, "drn_c_26", None, None) == recipe
    with pytest.raises(ModelError, match="no network 'resnet5000'; similar: .*resnet"):
        adapt(recipe, "resnet5000", None, None)


@pytest.mark.parametrize("name", ["landmarks_world", "landmarks_seoul", "heroes"])
def test_each_study_has_a_recipe_of_its_labels(name):
    recipe = load_recipe(name)
    assert recipe.vocabulary == name
    if name == "landmarks_seoul":
        assert (recipe.model, recipe.patience, recipe.floor, recipe.stop_after) == ("resnet50", 30, 1e-5, 100)
    if name == "landmarks_world":
        assert (recipe.model, recipe.optimizer, recipe.sizes, recipe.drop_rate) == (
            "sequential_cnn",
            "adam",
            (128,),
            0.25,
        )
