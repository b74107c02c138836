"""`hashtagger landmark` and `hashtagger lookalike`, with networks that are made to say what the test wants."""

import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from hashtagger.cli import group
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.weights import save_weights
from hashtagger.vocabulary import load_vocabulary


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(group, [str(a) for a in arguments])


def network(path, vocabulary, keys, best, threshold=0.0):
    """Save a network that takes every photo for ``best``."""
    model = create_model("sequential_cnn", num_classes=len(keys), depth=1, width=4)
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([4.0 if key == best else i / 10 for i, key in enumerate(keys)]))
    arguments = {"depth": 1, "width": 4}
    config = ModelConfig("sequential_cnn", vocabulary, tuple(keys), 32, threshold=threshold, model_args=arguments)
    save_weights(path, model, config)
    return path


@pytest.fixture
def landmarks(tmp_path):
    keys = load_vocabulary("landmarks_world").keys
    return network(tmp_path / "landmarks.safetensors", "landmarks_world", keys, "eiffel_tower")


@pytest.fixture
def from_seoul(tmp_path, sample_photos):
    image = Image.open(sample_photos["palace"])
    exif = image.getexif()
    exif.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 36.0), 3: "E", 4: (126.0, 58.0, 31.0)})
    image.save(tmp_path / "seoul.jpg", exif=exif)
    return tmp_path / "seoul.jpg"


@pytest.mark.parametrize(("command", "vocabulary"), [("landmark", "landmarks_world"), ("lookalike", "heroes")])
def test_the_name_of_a_network_means_that_of_the_study(run, command, vocabulary, tmp_path, sample_photos, monkeypatch):
    monkeypatch.setattr("hashtagger.models.find.cache_folder", lambda: tmp_path)
    keys = load_vocabulary(vocabulary).keys
    network(tmp_path / f"sequential_cnn-{vocabulary}.safetensors", vocabulary, keys, keys[0])
    network(tmp_path / "sequential_cnn-hashtags_ko.safetensors", "hashtags_ko", ["dog", "cat"], "dog")
    result = run(command, sample_photos["palace"], "--weights", "sequential_cnn", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said.get("landmarks") or said.get("likeness"))[0]["key"] == keys[0]


def test_landmark_says_name_address_and_place(run, landmarks, sample_photos):
    result = run("landmark", sample_photos["palace"], "--weights", landmarks)
    assert result.exit_code == 0, result.output
    for text in (
        "에펠탑",
        "Eiffel Tower",
        "75007 Paris",
        "France",
        "48.8584, 2.2945",
        "openstreetmap.org",
        "naver.com",
    ):
        assert text in result.stdout
    assert len([line for line in result.stdout.splitlines() if "%  " in line]) == 3
    assert "GPS" not in result.stdout
    assert result.stderr == ""


def test_gps_is_shown_when_it_disagrees(run, landmarks, from_seoul, tmp_path):
    result = run("landmark", from_seoul, "--weights", landmarks)
    assert "GPS disagrees: it was taken at 37.5600, 126.9753, 8,9" in result.stdout
    assert "Nearest landmark to that: 숭례문, 0.0 km" in result.stdout
    keys = load_vocabulary("landmarks_world").keys
    right = network(tmp_path / "right.safetensors", "landmarks_world", keys, "sungnyemun")
    assert "GPS" not in run("landmark", from_seoul, "--weights", right).stdout
    unsure = network(tmp_path / "unsure.safetensors", "landmarks_world", keys, "sungnyemun", threshold=1.0)
    result = run("landmark", from_seoul, "--weights", unsure)
    assert "(nothing it is sure of; --threshold 0 shows its guesses)" in result.stdout
    assert "The photo's GPS: 37.5600, 126.9753." in result.stdout


def test_gps_knows_the_whole_vocabulary(run, from_seoul, sample_photos, tmp_path):
    weights = network(tmp_path / "two.safetensors", "landmarks_world", ["great_wall", "eiffel_tower"], "great_wall")
    document = json.loads(run("landmark", from_seoul, "--weights", weights, "--json").stdout)
    assert document["gps"]["agrees"] is False
    assert document["gps"]["nearest"] == {"tag": "숭례문", "key": "sungnyemun", "distance_km": 0.0}
    assert len(document["unknown"]) == 15
    result = run("landmark", from_seoul, "--weights", weights)
    assert "Nearest landmark to that: 숭례문, 0.0 km" in result.stdout
    assert "has not learned these: 부르즈할리파, 금문교, " in result.stderr
    assert "hashtagger collect" in result.stderr
    assert run("landmark", sample_photos["palace"], "--weights", weights, "--vocabulary", "landmarks_world").stderr


def test_landmark_as_json_and_map(run, landmarks, from_seoul, tmp_path):
    pytest.importorskip("folium", reason="needs the extra map")
    page = tmp_path / "out.html"
    result = run("landmark", from_seoul, "--weights", landmarks, "--top-k", 1, "--json", "--map", page)
    document = json.loads(result.stdout)
    (best,) = document["landmarks"]
    assert (best["key"], best["latitude"], best["country"]["ko"]) == ("eiffel_tower", 48.8584, "프랑스")
    assert document["gps"]["agrees"] is False
    assert document["gps"]["distance_km"] == pytest.approx(8970, abs=30)
    assert document["gps"]["nearest"]["key"] == "sungnyemun"
    assert page.stat().st_size > 1000


def test_without_a_sure_landmark_and_gps_there_is_no_map(run, sample_photos, tmp_path):
    weights = network(tmp_path / "w.safetensors", "", ["hut", "barn"], "hut", threshold=0.999)
    result = run("landmark", sample_photos["palace"], "--weights", weights, "--map", tmp_path / "map.html")
    assert (result.exit_code, result.stderr) == (0, "No map: it is sure of no landmark, and the photo has no GPS.\n")
    assert not (tmp_path / "map.html").exists()


def test_a_label_set_of_ones_own_needs_no_places(run, sample_photos, from_seoul, tmp_path):
    weights = network(tmp_path / "w.safetensors", "", ["hut", "barn"], "hut")
    result = run("landmark", from_seoul, "--weights", weights)
    assert result.exit_code == 0, result.output
    assert "hut" in result.stdout
    assert "The photo's GPS: 37.5600, 126.9753." in result.stdout
    assert "Nearest" not in result.stdout


def test_lookalike_lists_all_eight_in_order(run, sample_photos, tmp_path):
    keys = load_vocabulary("heroes").keys
    weights = network(tmp_path / "heroes.safetensors", "heroes", keys, "loki", threshold=0.99)
    result = run("lookalike", sample_photos["palace"], "--weights", weights, "--json")
    document = json.loads(result.stdout)
    scores = [one["score"] for one in document["likeness"]]
    assert sorted(one["key"] for one in document["likeness"]) == sorted(keys)
    assert scores == sorted(scores, reverse=True)
    assert document["likeness"][0]["tag"] == "로키"
    assert document["unknown"] == []
    result = run("lookalike", sample_photos["palace"], "--weights", weights)
    assert len(result.stdout.splitlines()) == 8
    assert "god of mischief" in result.stdout.splitlines()[0]


def test_lookalike_names_those_that_were_not_learned(run, sample_photos, tmp_path):
    weights = network(tmp_path / "heroes.safetensors", "heroes", ["hulk", "ironman"], "hulk")
    result = run("lookalike", sample_photos["palace"], "--weights", weights)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["헐크", "아이언맨"]
    assert "has not learned these: 블랙위도우, 캡틴아메리카, 닥터스트레인지, 로키" in result.stderr
    # The bundled vocabulary of the same name is another one.
    other = network(tmp_path / "mine.safetensors", "heroes", ["hulk", "my_dad"], "hulk")
    result = run("lookalike", sample_photos["palace"], "--weights", other)
    assert ("my_dad" in result.stdout, result.stderr) == (True, "")


def test_without_weights_it_says_how_to_get_some(run, sample_photos, monkeypatch, tmp_path):
    monkeypatch.setattr("hashtagger.models.find._BUNDLED", tmp_path)
    monkeypatch.setattr("hashtagger.models.find.cache_folder", lambda: tmp_path)
    for command, name in (("landmark", "landmarks_world"), ("lookalike", "heroes")):
        result = run(command, sample_photos["palace"])
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert f"no weights for vocabulary '{name}': none are bundled" in line
        assert f'hashtagger collect "#TAG" photos/ --vocabulary {name}' in line
        assert f"hashtagger train photos/ --vocabulary {name}" in line


def test_mistakes_are_one_line_that_lists_what_exists(run, sample_photos, landmarks, tmp_path):
    photo = sample_photos["palace"]
    for arguments, said in (
        (["landmark", photo, "--vocabulary", "nothing"], "no vocabulary 'nothing'; there are: hashtags_ko, heroes"),
        (["lookalike", photo, "--weights", tmp_path / "absent.safetensors"], "no such weights file"),
        (
            ["lookalike", photo, "--vocabulary", "heroes", "--weights", landmarks],
            "are not the 8 of heroes (black_widow",
        ),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert said in line
