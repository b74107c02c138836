"""`hashtagger explain`, `features` and `detect`, with weights of a few kilobytes made for the test."""

import json
import sys

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from hashtagger.cli import group
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.weights import save_weights
from hashtagger.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    keys = tuple(load_vocabulary().keys)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(0)
    arguments = {"channels": [4] * 8}
    model = create_model("drn_d_22", num_classes=len(keys), **arguments).eval()
    save_weights(path, model, ModelConfig("drn_d_22", "hashtags_ko", keys, image_size=48, model_args=arguments))
    return path


@pytest.fixture
def run(weights):
    def run(command, *arguments):
        return CliRunner().invoke(group, [command, *map(str, arguments), "--weights", str(weights)])

    return run


def test_explain_draws_each_tag_and_says_its_score(run, sample_photos, tmp_path):
    out = tmp_path / "열지도.png"
    result = run("explain", sample_photos["flower"], "--tag", "꽃", "--tag", "#봄", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [said["key"] for said in document["tags"]] == ["flower", "spring"]
    assert all(0 <= said["score"] <= 1 for said in document["tags"])
    assert document["picture"] == str(out)
    with Image.open(out) as picture:
        assert picture.width > 3 * picture.height / 1.2  # three panels


def test_a_tag_may_be_spelt_as_people_spell_it(run, sample_photos, tmp_path):
    out = tmp_path / "heat.png"
    tags = ("댕댕이", "#멍스타그램", "dog", "강아지")
    result = run("explain", sample_photos["flower"], *(f"--tag={tag}" for tag in tags), "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert [said["key"] for said in json.loads(result.stdout)["tags"]] == ["dog"] * 4


def test_explain_takes_the_best_tag_by_itself(run, sample_photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("explain", sample_photos["flower"])
    assert result.exit_code == 0, result.output
    assert "#" in result.stdout
    assert (tmp_path / "flower-explain.png").exists()


def test_detect_prints_boxes_of_the_original(run, sample_photos, tmp_path):
    out = tmp_path / "boxes.webp"
    result = run("detect", sample_photos["palace"], "--tag", "여행", "--threshold", "0", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    boxes = json.loads(result.stdout)["boxes"]
    assert 1 <= len(boxes) <= 10
    for one in boxes:
        left, top, right, bottom = one["box"]
        assert 0 <= left < right <= 640
        assert 0 <= top < bottom <= 427
    assert Image.open(out).format == "WEBP"


def test_detect_says_when_it_finds_nothing(run, sample_photos, tmp_path):
    result = run("detect", sample_photos["palace"], "--threshold", "1", "--out", tmp_path / "nothing.png")
    assert result.exit_code == 0, result.output
    assert "(nothing it is sure of)" in result.stdout


def test_features_draws_channels_and_filters(run, sample_photos, tmp_path):
    out = tmp_path / "level.png"
    result = run("features", sample_photos["flower"], "--level", "3", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["pictures"] == [str(out), str(tmp_path / "level-filters.png")]
    assert len(document["channels"]) == 4
    for path in document["pictures"]:
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("command", ["explain", "features"])
def test_photos_of_any_shape_are_drawn(run, tmp_path, command, size):
    Image.new("RGB", size, "red").save(tmp_path / "strip.png")
    result = run(command, tmp_path / "strip.png", "--out", tmp_path / "out.png")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    with Image.open(tmp_path / "out.png") as picture:
        assert max(picture.size) < 20_000


@pytest.mark.parametrize(
    ("command", "none"), [("explain", {"picture": None}), ("detect", {"picture": None}), ("features", {"pictures": []})]
)
def test_json_draws_only_what_is_asked_for_and_takes_no_matplotlib(
    run, sample_photos, tmp_path, monkeypatch, command, none
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(command, sample_photos["flower"], "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout).items() >= none.items()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("explain", "PHOTO", "--tag", "우주"), "has no tag '우주'; it has: 생일 (birthday), "),
        (("detect", "PHOTO", "--tag", "space"), "has no tag 'space'; it has: 생일 (birthday), "),
        (("features", "PHOTO", "--level", "9"), "drn_d_22 has no level 9; it has: 1 (layer1), "),
        (("explain", "no such.jpg"), "no such.jpg: no such file"),
        (("explain", "PHOTO", "--out", "a.xyz"), "a.xyz: unsupported image format; there are: "),
        (("explain", "PHOTO", "--out", "no folder/a.png"), "a.png: no such file or folder"),
        (("explain", "PHOTO", "--out", "a.pgf"), "a.pgf: 'xelatex' not found"),
        (("detect", "TINY"), "tiny.png: 20x90 pixels are too small to search; it takes 33 or more each way"),
    ],
)
def test_a_wrong_input_gets_one_clear_line(run, sample_photos, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")  # no TeX, which some picture formats take
    Image.new("RGB", (20, 90)).save("tiny.png")
    given = {"PHOTO": sample_photos["flower"], "TINY": "tiny.png"}
    result = run(*(given.get(argument, argument) for argument in arguments))
    assert result.exit_code == 1
    assert result.stdout == ""
    (said,) = result.stderr.splitlines()
    assert line in said
