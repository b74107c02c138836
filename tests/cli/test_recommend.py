import json
import shutil

import pytest
from click.testing import CliRunner

from hashtagger.cli import group


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(group, [str(a) for a in arguments])


def test_photos_folders_and_globs(run, sample_photos, tmp_path):
    folder = tmp_path / "사진"
    folder.mkdir()
    shutil.copy(sample_photos["flower"], folder / "꽃.jpg")
    shutil.copy(sample_photos["palace"], folder / "궁.jpg")
    for arguments in (
        [folder],
        [folder / "*.jpg"],
        [folder / "궁.jpg", folder / "꽃.jpg"],
        [folder, folder / "꽃.jpg"],
    ):
        result = run("recommend", "--threshold", 0, *arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout.count(".jpg") == 2
        assert "#꽃" in result.stdout
        assert "%" in result.stdout


def test_json_is_one_document(run, sample_photos):
    result = run("recommend", "--json", "--top-k", 3, "--threshold", 0, sample_photos["flower"])
    (document,) = json.loads(result.stdout)
    assert document["photo"] == str(sample_photos["flower"])
    assert [set(tag) for tag in document["tags"]] == [{"tag", "key", "score", "related"}] * 3
    assert document["tags"][0]["key"] == "flower"
    assert "꽃" in result.stdout


def test_a_bad_photo_is_reported_and_the_others_come_out(run, sample_photos, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not a photo")
    arguments = ["recommend", "--threshold", "0", bad, sample_photos["flower"], tmp_path / "absent.jpg"]
    result = run(*arguments)
    assert result.exit_code == 1
    assert "#꽃" in result.stdout
    assert "bad.jpg: not a photo" in result.stderr
    assert "absent.jpg: no such file" in result.stderr
    assert "2 of 3 photos could not be read" in result.stderr
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    documents = json.loads(result.stdout)
    assert ["error" in document for document in documents] == [True, False, True]


def test_a_glob_that_matches_nothing_is_said_as_such(run, sample_photos, tmp_path):
    place = tmp_path / "no*.jpg"
    result = run("recommend", place)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {place}: no photo matches\n")
    result = run("recommend", "--json", place, sample_photos["flower"])
    assert json.loads(result.stdout)[0]["error"].endswith("no photo matches")
    assert "1 of 2 photos could not be read" in result.stderr


def test_a_name_too_long_for_a_file_stops_no_other_photo(run, sample_photos):
    result = run("recommend", "--threshold", "0", "a" * 300, sample_photos["flower"])
    assert result.exit_code == 1
    assert "#꽃" in result.stdout
    assert "1 of 2 photos could not be read" in result.stderr


def test_users_mistakes_are_one_line(run, tmp_path):
    for arguments, words in (
        (["recommend", tmp_path], "no photos in"),
        (["landmark", ""], "the path of the photo is empty"),
        (["landmark", "--weights", "", "x.jpg"], "no such weights file"),
        (["lookalike", "--weights", "", "x.jpg"], "no such weights file"),
        (["recommend", "--vocabulary", "nothing", "x.jpg"], "no vocabulary 'nothing'"),
        (["recommend", "--weights", tmp_path / "no.safetensors", "x.jpg"], "no such weights file"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
    assert run("recommend").exit_code == 2
    assert "give either --models or --sweep" in run("compare", tmp_path, "--models", " ,", "--out", tmp_path).stderr
    assert run("recommend", "--top-k", 0, "x.jpg").exit_code == 2
    for command in ("recommend", "detect", "landmark"):
        result = run(command, "--threshold", "nan", "x.jpg")
        assert (result.exit_code, "nan is not in the range 0<=x<=1" in result.stderr) == (2, True), command
    assert run("nonsense").exit_code == 2


def test_convert(run, sample_photos, tmp_path):
    import torch

    from hashtagger.models import create_model

    torch.save(create_model("drn_d_22", num_classes=1000).state_dict(), tmp_path / "old.pth")
    result = run("convert", tmp_path / "old.pth", tmp_path / "new.safetensors")
    assert result.exit_code == 0
    assert "drn_d_22, 1000 classes, 224 px" in result.stdout
    assert "keys 0 to 999" in result.stderr
    names = tmp_path / "names.toml"
    labels = (f'[[labels]]\nkey = "{number}"\ntag = "이름{number}"\nname = "{number}"\n' for number in range(1000))
    names.write_text("".join(labels), encoding="utf-8")
    weights = tmp_path / "new.safetensors"
    photo = sample_photos["flower"]
    result = run("recommend", photo, "--weights", weights, "--vocabulary", names, "--threshold", 0, "--top-k", 1)
    assert "#이름" in result.stdout
    result = run("convert", tmp_path / "absent.pth", tmp_path / "new.safetensors")
    assert result.exit_code == 1
    assert "absent.pth: no such weights file" in result.stderr
