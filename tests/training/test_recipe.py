import dataclasses
import math

import pytest

from hashtagger.errors import TrainingError
from hashtagger.training.recipe import Recipe, available, load_recipe


@pytest.mark.parametrize("name", available())
def test_bundled_recipes_load_and_survive_being_written(name, tmp_path):
    recipe = load_recipe(name)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    "changes",
    [
        {"teachers": ("a.safetensors", "b.safetensors")},
        {"vocabulary": "C:\\사과 🍎\\fruit.toml"},
        {"model_options": {"in_chans": 3, "scriptable": True, "cfg": {"first size": [1.5, 2], "act": "relu"}}},
        {"clip": math.inf, "learning_rate": 1e-7},
    ],
)
def test_any_recipe_survives_being_written(tmp_path, recipe, changes):
    recipe = dataclasses.replace(recipe, **changes)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("batch = 3", encoding="utf-8-sig")
    assert load_recipe(path) == Recipe(batch=3)


def test_size_at_goes_through_the_stages():
    recipe = Recipe(sizes=(32, 48, 64), epochs=(2, 0, 1))
    assert [recipe.size_at(epoch) for epoch in range(4)] == [32, 32, 64, 64]
    assert recipe.total_epochs == 3
    assert recipe.final_size == 64
    assert dataclasses.replace(recipe, image_size=80).final_size == 80


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xyz = 1", "recipe.toml: a recipe has no 'xyz'"),
        ("learing_rate = 1", "recipe.toml: a recipe has no 'learing_rate'; did you mean 'learning_rate'?"),
        ("batch = 'many'", "batch = 'many'"),
        ("batch = true", "batch = True"),
        ("sizes = [32.5]", "sizes"),
        ("sizes = [32, 64]", "must be positive and of the same length"),
        ("loss = 'sigmoid'\nteachers = ['a.safetensors']", "teachers"),
        ("teachers = [1]", "teachers = [1]"),
        ("loss = 'hinge'", "softmax, sigmoid"),
        ("epochs = [0]", "epochs [0] must be positive and of the same length"),
        ("batch = 1", "batch = 1 must lie in 2..inf"),
        ("learning_rate = inf", "learning_rate = inf must lie in 0..1000"),
        ("seed = 1000000000000000", "seed = 1000000000000000 must lie in"),
        ("model_options = {num_classes = 3}", "model_options takes none of num_classes"),
        ("model_options = {pretrained = true}", "--init pretrained"),
        ("mean = []", "mean = [] must be three numbers"),
        ("std = [0.5]", "std = [0.5] must be three numbers"),
        ("std = [0.5, 0, 0.5]", "those of std above 0"),
        ("mixup = -1.0", "mixup = -1.0 must lie in 0..inf"),
        ("flip = nan", "flip = nan must lie in 0..1"),
        ("crop = [1.0]", "crop = [1.0] must be two rising numbers above 0, 1 at most"),
        ("rescale_to = [96, 64]", "rescale_to = [96, 64] must be two rising numbers"),
        ("batch = ", "recipe.toml"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError) as raised:
        load_recipe(path)
    assert said in str(raised.value)


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(TrainingError, match="hashtags_ko_cpu"):
        load_recipe("nothing")
    with pytest.raises(TrainingError, match=r"absent\.toml: no such file"):
        load_recipe(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", available())
def test_bundled_recipes_make_a_network(name):
    from hashtagger.models import create_model

    recipe = load_recipe(name)
    network = create_model(recipe.model, num_classes=3, drop_rate=recipe.drop_rate, **recipe.model_options)
    assert network.num_classes == 3
    assert len(recipe.mean) == len(recipe.std) == 3
