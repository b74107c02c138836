import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from hashtagger.cli import group
from hashtagger.errors import TrainingError
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.weights import save_weights
from hashtagger.training import label_check
from hashtagger.training.clean import FLAT, TEXT, apply_findings, clean, text_and_flat
from hashtagger.training.photos import read_photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An untrained network, whose features differ enough by colour to separate flower from palace."""
    options = {"channels": [8, 8, 8, 16, 16, 16, 16, 16]}
    torch.manual_seed(0)
    network = create_model("drn_c_26", num_classes=2, **options)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, network, ModelConfig("drn_c_26", "", ("flower", "palace"), 32, model_args=options))
    return path


def page_of_text():
    page = Image.new("RGB", (360, 480), "white")
    draw = ImageDraw.Draw(page)
    for y in range(20, 460, 26):
        draw.text((14, y), "The quick brown fox jumps over lazy dog", fill="black", font=ImageFont.load_default(18))
    return page


@pytest.fixture
def planted(folders, tmp_path):
    """Class folders with one planted fault of each kind."""
    data = tmp_path / "data"
    shutil.copytree(folders, data)
    shutil.copy(data / "flower" / "03.png", data / "flower" / "copy.png")
    Image.open(data / "flower" / "04.png").resize((64, 64)).save(data / "palace" / "small.jpg", quality=75)
    (data / "palace" / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    (data / "palace" / "._01.png").write_bytes(b"hidden")
    page_of_text().save(data / "flower" / "ad.png")
    Image.new("RGB", (50, 50), "navy").save(data / "palace" / "blank.png")
    return data


def findings_of(out):
    return [json.loads(line) for line in (out / "findings.jsonl").read_text(encoding="utf-8").splitlines()]


def test_planted_faults_are_found(planted, weights, tmp_path):
    result = clean(planted, tmp_path / "out", weights=weights)
    assert result["photos"] == 35
    assert result["balance"] == {"flower": 22, "palace": 13}
    found = {(entry["kind"], entry["file"]): entry for entry in findings_of(tmp_path / "out")}
    assert found["unreadable", "palace/broken.jpg"]["action"] == "drop"
    assert found["duplicate", "flower/copy.png"]["twin"] == "flower/03.png"
    doubled = found["near-duplicate", "palace/small.jpg"]
    assert (doubled["twin"], doubled["suggestion"]) == ("flower/04.png", "flower")
    assert found["text", "flower/ad.png"]["action"] == "keep"
    assert found["flat", "palace/blank.png"]["action"] == "keep"
    assert result["findings"]["duplicate"] == result["findings"]["near-duplicate"] == 1
    assert not any("._" in file for _kind, file in found)
    assert (tmp_path / "out" / "balance.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "review.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == len(found)
    assert page.count("data:image/jpeg") >= len(found)
    assert "same as flower/03.png (flower)" in page
    assert doubled["reason"] == "same as flower/04.png (flower)"
    assert "$" not in page.split("<script>")[0].split("base64")[0]


def test_applying_drops_and_relabels_in_a_manifest_only(planted, weights, tmp_path):
    out = tmp_path / "out"
    clean(planted, out, weights=weights)
    before = sorted(path for path in planted.rglob("*") if path.is_file())
    reviewed = findings_of(out)
    reviewed = [
        {**entry, "action": "relabel", "suggestion": "palace"} if entry["file"] == "flower/ad.png" else entry
        for entry in reviewed
        if entry["file"] != "palace/small.jpg"
    ]
    (out / "findings.jsonl").write_text("\n".join(map(json.dumps, reviewed)), encoding="utf-8")
    assert apply_findings(planted, out) == {
        "kept": 33,
        "dropped": 2,
        "relabelled": 1,
        "manifest": str(out / "manifest.jsonl"),
    }
    photos = {photo.path.resolve(): photo.key for photo in read_photos(out)}
    assert photos[(planted / "flower" / "ad.png").resolve()] == "palace"
    assert (planted / "palace" / "small.jpg").resolve() in photos
    assert (planted / "flower" / "copy.png").resolve() not in photos
    assert sorted(path for path in planted.rglob("*") if path.is_file()) == before


def test_a_manifests_other_fields_are_kept_and_training_gives_way_to_validation(folders, weights, tmp_path):
    files = [photo.path for photo in read_photos(folders)]
    entries = [{"file": str(file), "key": file.parent.name, "split": "train", "license": "CC0"} for file in files]
    shutil.copy(files[0], tmp_path / "same.png")
    entries.append({"file": "same.png", "key": "flower", "split": "val", "license": "CC-BY"})
    manifest = tmp_path / "photos.jsonl"
    manifest.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    out = tmp_path / "out"
    clean(manifest, out, weights=weights)
    assert apply_findings(manifest, out)["dropped"] == 1
    kept = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["license"] for entry in kept if entry["split"] == "val"} == {"CC-BY"}
    assert len(kept) == 30
    assert len(read_photos(out / "manifest.jsonl")) == 30
    assert all(photo.path.is_file() for photo in read_photos(out))


def test_a_photo_that_is_listed_twice_is_not_a_duplicate_of_itself(folders, weights, tmp_path):
    entries = [{"file": str(photo.path), "key": photo.key} for photo in read_photos(folders)]
    manifest = tmp_path / "photos.jsonl"
    manifest.write_text("\n".join(map(json.dumps, entries * 2)), encoding="utf-8")
    result = clean(manifest, tmp_path / "out", weights=weights)
    assert result["photos"] == 60
    assert result["findings"]["duplicate"] == result["findings"]["near-duplicate"] == 0
    found = [(entry["kind"], entry["file"]) for entry in findings_of(tmp_path / "out")]
    assert len(found) == len(set(found))
    assert apply_findings(manifest, tmp_path / "out")["kept"] == 60
    relabelled = {"file": entries[0]["file"], "action": "relabel", "suggestion": "palace"}
    (tmp_path / "out" / "findings.jsonl").write_text(json.dumps(relabelled), encoding="utf-8-sig")
    assert apply_findings(manifest, tmp_path / "out")["relabelled"] == 2


def test_file_names_that_are_not_utf8_are_found_and_applied(folders, weights, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(folders, data)
    odd = "flower/\udcb2\u2028.png"
    try:
        shutil.copy(data / "flower" / "03.png", data / odd)
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    clean(data, tmp_path / "out", weights=weights)
    lines = (tmp_path / "out" / "findings.jsonl").read_text(encoding="utf-8").split("\n")
    (found,) = (entry for entry in map(json.loads, filter(None, lines)) if entry["kind"] == "duplicate")
    assert odd in (found["file"], found["twin"])
    assert r"flower/\udcb2" in (tmp_path / "out" / "review.html").read_text(encoding="utf-8")
    # As a browser saves them.
    (tmp_path / "out" / "findings.jsonl").write_bytes(
        json.dumps({**found, "file": odd, "twin": ""}, ensure_ascii=False).encode(errors="backslashreplace")
    )
    assert apply_findings(data, tmp_path / "out")["dropped"] == 1
    assert (data / odd).resolve() not in {photo.path.resolve() for photo in read_photos(tmp_path / "out")}


def test_photos_on_another_drive_are_named_in_full(folders, tmp_path, monkeypatch):
    def other_drive(path, start):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    (tmp_path / "findings.jsonl").write_text('{"file": "flower/00.png", "action": "drop"}', encoding="utf-8")
    monkeypatch.setattr("os.path.relpath", other_drive)
    apply_findings(folders, tmp_path)
    assert {photo.path for photo in read_photos(tmp_path)} == {photo.path for photo in read_photos(folders)[1:]}


def test_wrong_labels_are_found_by_confident_learning():
    generator = np.random.default_rng(0)
    number_of = np.repeat([0, 1, 2], 200)
    features = generator.normal(0, 1, (600, 16)) + 5 * np.eye(3, 16)[number_of]
    planted = generator.choice(600, 30, replace=False)
    given = number_of.copy()
    given[planted] = (given[planted] + 1) % 3
    names = np.array(["a", "b", "c"])
    found = label_check.wrong_labels(features.astype(np.float32), names[given].tolist())
    numbers = [number for number, _label, _margin in found]
    assert len(set(numbers) & set(planted)) >= 0.5 * len(planted)
    assert len(set(numbers) & set(planted)) >= 0.9 * len(numbers)
    assert all(label == names[number_of[number]] for number, label, _margin in found if number in planted)
    margins = [margin for *_rest, margin in found]
    assert margins == sorted(margins, reverse=True)
    assert found == label_check.wrong_labels(features.astype(np.float32), names[given].tolist())


def test_outliers_are_found_and_small_labels_left_alone():
    generator = np.random.default_rng(0)
    features = generator.normal(0, 0.1, (50, 6)) + np.array([1, 1, 0, 0, 0, 0])
    features[17] = [0, 0, 0, 1, 1, 0]
    keys = ["a"] * 45 + ["b"] * 5
    assert label_check.outliers(features, keys)[0][0] == 17
    assert all(number < 45 for number, _score in label_check.outliers(features, keys))
    assert label_check.wrong_labels(features, keys) == []


def drawn(size, lines, pitch, points, ground, ink):
    picture = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(picture)
    for number in range(lines):
        draw.text((40, 30 + number * pitch), "Alerts and sounds, 24", fill=ink, font=ImageFont.load_default(points))
    return picture


def bannered(photo):
    """A photo with two strips of large letters over it."""
    photo = Image.open(photo).resize((640, 640))
    photo.paste(drawn((640, 160), 2, 70, 56, "white", "red"), (0, 0))
    photo.paste(drawn((640, 160), 2, 70, 56, "yellow", "black"), (0, 480))
    return photo


def test_drawn_pictures_are_text_and_photos_are_not(sample_photos):
    pictures = {
        "page": page_of_text(),
        "list": drawn((540, 960), 12, 75, 22, "white", "black"),
        "dark list": drawn((540, 960), 12, 75, 22, (18, 18, 18), (235, 235, 235)),
        "document": drawn((1000, 1400), 40, 33, 24, (245, 240, 230), (40, 40, 40)),
        "poster": drawn((540, 540), 4, 120, 56, (250, 220, 225), (180, 20, 60)),
        "banners": bannered(sample_photos["flower"]),
    }
    assert [name for name, picture in pictures.items() if text_and_flat(picture)[0] < TEXT] == []
    stripes = Image.fromarray(np.tile(np.repeat(np.uint8([0, 255]), 2), (160, 40)))
    for photo in (stripes, *map(Image.open, sample_photos.values())):
        text, flat = text_and_flat(photo)
        assert text < TEXT / 2
        assert flat < FLAT
    assert text_and_flat(Image.new("RGB", (300, 20), "red")) == (0.0, 1.0)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"file": "a", "action": "burn"}',
        '{"file": "a", "action": "relabel"}',
        '{"file": ["a"], "action": "drop"}',
    ],
)
def test_findings_that_cannot_be_applied_are_refused(folders, tmp_path, line):
    with pytest.raises(TrainingError, match="no findings"):
        apply_findings(folders, tmp_path)
    (tmp_path / "findings.jsonl").write_text('{"file": "a", "action": "keep"}\n' + line, encoding="utf-8")
    with pytest.raises(TrainingError, match="line 2"):
        apply_findings(folders, tmp_path)
    assert not (tmp_path / "manifest.jsonl").exists()


def test_findings_in_another_encoding_are_refused(folders, tmp_path):
    (tmp_path / "findings.jsonl").write_bytes('{"file": "꽃", "action": "drop"}'.encode("cp949"))
    with pytest.raises(TrainingError, match=r"findings\.jsonl: 'utf-8' codec"):
        apply_findings(folders, tmp_path)


def test_findings_of_other_data_are_refused(folders, tmp_path):
    lines = [json.dumps({"file": f"flower/{name}.png", "action": "drop"}) for name in ("gone", "00")]
    findings = tmp_path / "findings.jsonl"
    findings.write_text("\n".join(lines), encoding="utf-8")
    # Photos of two folders may have some names in common.
    with pytest.raises(TrainingError, match="1 photos of these findings are not in"):
        apply_findings(folders, tmp_path)
    assert not (tmp_path / "manifest.jsonl").exists()
    findings.write_text(lines[1], encoding="utf-8")
    assert apply_findings(folders, tmp_path)["dropped"] == 1


def test_the_command(planted, weights, tmp_path):
    arguments = ["clean", str(planted), "--out", str(tmp_path / "out"), "--weights", str(weights)]
    result = CliRunner().invoke(group, [*arguments, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["findings"]["unreadable"] == 1
    reviewed = (tmp_path / "out" / "findings.jsonl").read_bytes()
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 1
    assert "findings.jsonl: already exists; add --apply" in result.stderr
    assert (tmp_path / "out" / "findings.jsonl").read_bytes() == reviewed
    result = CliRunner().invoke(group, [*arguments, "--apply"])
    assert "32 photos kept, 3 dropped, 0 relabelled" in result.stdout
