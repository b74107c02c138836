import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from hashtagger.cli import group
from hashtagger.cli.train import adapt
from hashtagger.errors import HashtaggerError, ModelError, TrainingError, WeightsError
from hashtagger.models import create_model, device
from hashtagger.models.weights import load_weights, save_weights
from hashtagger.training.distill import Teachers
from hashtagger.training.module import Tagger, warmup_cosine
from hashtagger.training.network import init_weights
from hashtagger.training.photos import read_photos, write_manifest
from hashtagger.training.recipe import Recipe, load_recipe
from hashtagger.training.train import train

SMALLEST = {"model": "sequential_cnn", "model_options": {"width": 4, "depth": 3}}


def state(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)


class KilledError(Exception):
    pass


def kill_at(monkeypatch, epoch):
    """Make the next run fail at the start of that epoch, counted from 0."""
    start = Tagger.on_train_epoch_start

    def killed(self):
        if self.current_epoch == epoch:
            monkeypatch.undo()
            raise KilledError
        start(self)

    monkeypatch.setattr(Tagger, "on_train_epoch_start", killed)


@pytest.fixture(scope="module")
def finished(folders, tmp_path_factory, request):
    """One complete run: its result, recipe and folder."""
    recipe = Recipe(
        vocabulary="",
        model_options={"channels": [16, 16, 16, 16, 16, 16, 16, 16]},
        sizes=(24, 32),
        epochs=(1, 2),
        batch=8,
        precision="32-true",
        balance=0.5,
        warmup=0.5,
        ema=0.9,
        crop=(0.3, 1.0),
        trivial_augment=0.5,
        mixup=0.3,
        mix_off=1,
    )
    out = tmp_path_factory.mktemp("finished")
    return train(folders, out, recipe, devices="cpu"), recipe, out


def test_a_run_leaves_all_that_it_should(finished, folders):
    run, recipe, out = finished
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["size"]) for row in rows] == [("1", "24"), ("2", "32"), ("3", "32")]
    # The rate of the last step is small but not 0, which would be that of a step after the end.
    assert all(float(row["learning_rate"]) > 0 for row in rows)
    assert load_recipe(out / "recipe.toml") == recipe
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["best"] == run["best"]
    assert run["photos"] == {"train": {"flower": 14, "palace": 7}, "val": {"flower": 6, "palace": 3}}
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (out / "curves.png").stat().st_size > 5000
    network, config = load_weights(out / "weights.safetensors")
    assert config.keys == ("flower", "palace")
    assert config.image_size == 32
    assert config.figures["val"]["val_top1"] == pytest.approx(run["best"]["val_top1"], abs=1e-4)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_weights_are_the_best_epochs_average(finished):
    run, _recipe, out = finished
    checkpoint = torch.load(out / "checkpoints" / "best.ckpt", weights_only=False)
    assert checkpoint["epoch"] + 1 == run["best"]["epoch"]
    network, _config = load_weights(out / "weights.safetensors")
    kept = checkpoint["state_dict"]
    for name, tensor in network.state_dict().items():
        assert torch.allclose(tensor, kept[f"average.{name}"], rtol=1e-3, atol=1e-4), name
    assert not torch.equal(kept["average.fc.weight"], kept["network.fc.weight"])


def test_a_killed_run_resumes_exactly_and_the_seed_decides(finished, folders, tmp_path, monkeypatch):
    _run, recipe, out = finished
    kill_at(monkeypatch, 1)
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(folders, data)
    with pytest.raises(KilledError):
        train(data, run, recipe, devices="cpu")
    assert state(run)["epoch"] == 0
    with pytest.raises(TrainingError, match="--resume"):
        train(data, run, recipe, devices="cpu")
    # Photos that were added to the data since, and the recipe that is passed, are ignored.
    shutil.copy(data / "palace" / "00.png", data / "flower" / "new.png")
    train(data, run, dataclasses.replace(recipe, seed=5), resume=True, devices="cpu")
    whole, resumed = state(out), state(run)
    assert whole["state_dict"].keys() == resumed["state_dict"].keys()
    differing = [
        name for name, tensor in whole["state_dict"].items() if not torch.equal(tensor, resumed["state_dict"][name])
    ]
    assert differing == []
    assert (run / "metrics.csv").read_bytes() == (out / "metrics.csv").read_bytes()


def test_a_killed_run_resumes_at_the_rate_that_its_plateau_had_come_to(folders, tmp_path, recipe, monkeypatch):
    # The rate is so small that validation does not improve.
    recipe = dataclasses.replace(
        recipe, **SMALLEST, sizes=(24,), epochs=(3,), schedule="plateau", patience=0, learning_rate=1e-6
    )
    train(folders, tmp_path / "whole", recipe, devices="cpu")
    kill_at(monkeypatch, 2)
    with pytest.raises(KilledError):
        train(folders, tmp_path / "killed", recipe, devices="cpu")
    train(folders, tmp_path / "killed", recipe, resume=True, devices="cpu")
    whole, resumed = ((tmp_path / run / "metrics.csv").read_text("utf-8") for run in ("whole", "killed"))
    assert resumed == whole
    assert [row["learning_rate"] for row in csv.DictReader(whole.splitlines())] == ["1e-06", "1e-06", "5e-07"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be caught")
def test_a_run_is_one_commands_and_ends_at_sigterm_as_at_ctrl_c(folders, tmp_path, recipe):
    recipe = dataclasses.replace(recipe, **SMALLEST, sizes=(24,), epochs=(1000,))
    (tmp_path / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    out = tmp_path / "run"
    command = [sys.executable, "-m", "hashtagger", "train", folders, "--recipe", tmp_path / "recipe.toml", "--out", out]
    environment = {**os.environ, "LANGUAGE": "en", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "said").open("w+", encoding="utf-8") as said:
        running = subprocess.Popen([*map(str, command), "--devices", "cpu"], env=environment, stderr=said, stdout=said)
        try:
            while not (out / "checkpoints" / "last.ckpt").exists():
                assert running.poll() is None
                time.sleep(0.1)
            with pytest.raises(TrainingError, match="run: another hashtagger is at work here"):
                train(folders, out, recipe, resume=True, devices="cpu")
            running.send_signal(signal.SIGTERM)
            assert running.wait(240) == 130
        finally:
            running.kill()
        said.seek(0)
        text = said.read()
    assert "learning 2 labels (photos of each): flower 14, palace 7\n" in text
    assert "epoch 1 of 1000: loss " in text
    assert "epoch 0" not in text.lower()
    assert "\r" not in text, "a progress bar without a terminal"
    assert f"{out}: stopped; the same command with --resume goes on" in text
    assert "Traceback" not in text


def test_a_single_label_is_refused(folders, tmp_path, recipe):
    photos = [photo for photo in read_photos(folders) if photo.key == "flower"]
    write_manifest([*photos, dataclasses.replace(photos[0], key="other")], tmp_path / "photos.jsonl")
    with pytest.raises(TrainingError, match=r"photos.jsonl: only one label \(flower\)"):
        train(tmp_path / "photos.jsonl", tmp_path / "run", recipe, devices="cpu")


def test_mistakes_in_the_recipe_are_reported_before_photos_are_read(tmp_path, recipe):
    """The data does not even exist."""
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    vit = {"model": "vit_tiny_patch16_224", "model_options": {}}
    for changes, settings, said in (
        (vit, {}, r"vit_tiny_patch16_224 does not take photos of (24|32) px: Input height"),
        ({**vit, "sizes": (224, 224), "image_size": 64}, {}, "does not take photos of 64 px"),
        ({"teachers": (str(tmp_path / "broken.safetensors"),)}, {}, "broken.safetensors: truncated"),
        ({"model": "drn_c_62"}, {}, "no network 'drn_c_62'; similar: "),
        ({"precision": "8-bit"}, {}, "8-bit"),
        ({}, {"init": tmp_path / "broken.safetensors"}, "broken.safetensors: truncated"),
        ({}, {"strategy": "telepathy"}, "telepathy"),
        ({}, {"devices": "some"}, "devices 'some'"),
    ):
        with pytest.raises(HashtaggerError, match=said):
            train(tmp_path / "absent", tmp_path / "run", dataclasses.replace(recipe, **changes), **settings)
    assert not (tmp_path / "run").exists()


def test_another_seed_gives_another_network(finished, folders, tmp_path):
    _run, recipe, out = finished
    train(folders, tmp_path, dataclasses.replace(recipe, seed=1, epochs=(1, 0)), devices="cpu")
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] != (out / "metrics.csv").read_text().splitlines()[1]


def test_a_run_that_stopped_early_has_ended(folders, tmp_path, recipe, monkeypatch, capfd):
    """With the sigmoid loss, AdamW and the plateau schedule."""
    recipe = dataclasses.replace(
        recipe,
        # Without batch norm, whose statistics change even at a learning rate of 0.
        **SMALLEST,
        sizes=(24,),
        epochs=(9,),
        loss="sigmoid",
        optimizer="adamw",
        schedule="plateau",
        learning_rate=0.0,
        ema=0.0,
        patience=0,
        stop_after=2,
    )
    run = train(folders, tmp_path, recipe, devices="cpu")
    assert (run["best"]["epoch"], run["epochs"]) == (1, 3)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capfd.readouterr()
    assert train(folders, tmp_path, recipe, resume=True, devices="cpu") == json.loads(json.dumps(run))
    said = f"{tmp_path}: finished after epoch 3; to train on, choose another folder and pass these weights to --init\n"
    assert capfd.readouterr().err == said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # A new run in the same folder does not count as finished because of the earlier one.
    shutil.rmtree(tmp_path / "checkpoints")
    kill_at(monkeypatch, 1)
    with pytest.raises(KilledError):
        train(folders, tmp_path, recipe, devices="cpu")
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=r"last\.ckpt: damaged; copy best\.ckpt"):
        train(folders, tmp_path, recipe, resume=True, devices="cpu")
    shutil.copy(tmp_path / "checkpoints" / "best.ckpt", checkpoint)
    assert train(folders, tmp_path, recipe, resume=True, devices="cpu")["epochs"] == 3


def test_the_average_follows_the_weights(folders, recipe):
    network = create_model("drn_c_26", num_classes=2, **recipe.model_options)
    photos = read_photos(folders)
    tagger = Tagger(network, recipe, _config(recipe), photos, photos, Teachers([]), lambda _module: None)
    tagger._fabric = None
    before = {name: tensor.clone() for name, tensor in tagger.average.state_dict().items()}
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(1)
    tagger.on_train_batch_end()
    # At step 0 the decay is 1/10.
    for name, tensor in tagger.average.state_dict().items():
        expected = before[name] + (0.9 if tensor.is_floating_point() else 1)
        assert torch.allclose(tensor, expected.to(tensor.dtype)), name


def _config(recipe):
    from hashtagger.models.config import ModelConfig

    return ModelConfig("drn_c_26", "", ("flower", "palace"), 32, model_args=dict(recipe.model_options))


def test_norms_and_biases_have_no_decay(finished):
    _run, recipe, out = finished
    run_state = state(out)["optimizer_states"][0]["param_groups"]
    network = create_model("drn_c_26", num_classes=2, **recipe.model_options)
    weights = sum(parameter.ndim > 1 for parameter in network.parameters())
    assert [(len(group["params"]), group["weight_decay"]) for group in run_state] == [
        (weights, recipe.weight_decay),
        (len(list(network.parameters())) - weights, 0.0),
    ]


def test_learning_rate_rises_then_falls_to_nothing():
    course = [warmup_cosine(step, warmup=4, total=20) for step in range(21)]
    assert course[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert course[12] == pytest.approx(0.5)
    assert course[20] == 0
    assert course[4:] == sorted(course[4:], reverse=True)


def test_weights_do_not_say_where_training_started(folders, tmp_path, recipe):
    options = {**SMALLEST["model_options"], "cache_dir": str(tmp_path / "downloads")}
    recipe = dataclasses.replace(recipe, model="sequential_cnn", model_options=options, sizes=(24,), epochs=(1,))
    train(folders, tmp_path, recipe, devices="cpu")
    assert load_weights(tmp_path / "weights.safetensors")[1].model_args == SMALLEST["model_options"]


def test_init_pretrained_starts_from_the_published_weights(folders, tmp_path, recipe):
    network = "mobilenetv3_small_050"
    published = create_model(network, num_classes=1000)
    torch.save(published.state_dict(), tmp_path / "published.pth")
    options = {"pretrained_cfg_overlay": {"file": str(tmp_path / "published.pth")}}
    still = dataclasses.replace(
        recipe, model=network, model_options=options, sizes=(32,), epochs=(1,), learning_rate=0.0, ema=0.0
    )
    run = train(folders, tmp_path / "run", still, init="pretrained", devices="cpu")
    assert run["init"] == "pretrained"
    trained, config = load_weights(tmp_path / "run" / "weights.safetensors")
    assert not config.model_args
    assert torch.equal(trained.conv_stem.weight, published.conv_stem.weight.half().float())
    assert trained.classifier.weight.shape[0] == 2
    # The weights file is not needed to go on with the run.
    (tmp_path / "published.pth").unlink()
    (tmp_path / "run" / "run.json").unlink()
    assert (
        train(folders, tmp_path / "run", still, init="pretrained", resume=True, devices="cpu")["init"] == "pretrained"
    )


def test_each_step_counts_once_in_the_batch_norms_of_a_head(folders, tmp_path, recipe):
    model = {"model": "mobilenetv4_conv_small_035", "model_options": {}, "sizes": (32,), "epochs": (1,)}
    train(folders, tmp_path / "run", dataclasses.replace(recipe, **model), devices="cpu")
    trained = state(tmp_path / "run")
    assert trained["state_dict"]["network.norm_head.num_batches_tracked"] == trained["global_step"]


def test_init_pretrained_of_a_network_without_published_weights(folders, tmp_path, recipe):
    options = {"pretrained_cfg_overlay": {"file": str(tmp_path / "absent.pth")}}
    absent = dataclasses.replace(recipe, model_options=options)
    with pytest.raises(ModelError, match="drn_c_26 cannot be created: FileNotFoundError"):
        train(folders, tmp_path / "run", absent, init="pretrained")
    assert not (tmp_path / "run").exists()
    for name in ("cut.safetensors", "cut.pth"):
        (tmp_path / name).write_bytes(b"x" * 20)
        options = {"pretrained_cfg_overlay": {"file": str(tmp_path / name)}}
        damaged = dataclasses.replace(recipe, model_options=options)
        with pytest.raises(ModelError, match="drn_c_26 cannot be created: "):
            train(folders, tmp_path / "run", damaged, init="pretrained")
    with pytest.raises(ModelError, match="sequential_cnn cannot be created: No pretrained weights"):
        train(folders, tmp_path, dataclasses.replace(recipe, **SMALLEST), init="pretrained")


def test_init_takes_over_what_fits(finished, tmp_path, recipe):
    _run, _recipe, out = finished
    network = create_model("drn_c_26", num_classes=3, **recipe.model_options)
    fresh = init_weights(network, out / "weights.safetensors", ("flower", "hedge", "palace"))
    assert fresh == ["fc.weight", "fc.bias"]
    given, config = load_weights(out / "weights.safetensors")
    assert torch.equal(network.conv1.weight, given.conv1.weight)
    two = create_model("drn_c_26", num_classes=2, **recipe.model_options)
    assert init_weights(two, out / "weights.safetensors", config.keys) == []
    # Other labels, but as many.
    assert init_weights(two, out / "weights.safetensors", ("hedge", "palace")) == ["fc.weight", "fc.bias"]
    (tmp_path / "broken.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(WeightsError, match="broken"):
        init_weights(network, tmp_path / "broken.safetensors", config.keys)


@pytest.mark.parametrize("model", ["resnet50", "sequential_cnn", "mobilenetv2_100"])
def test_weights_of_another_network_are_refused(finished, model):
    """Even if the classifier's bias, or batch norm counters, match in name and shape."""
    _run, _recipe, out = finished
    with torch.device("meta"):
        network = create_model(model, num_classes=2)
    with pytest.raises(WeightsError, match=r"of another network: \d+ of \d+ tensors fit"):
        init_weights(network, out / "weights.safetensors", ("flower", "palace"))


def test_a_student_learns_the_predictions_of_its_teacher(finished, folders, tmp_path, recipe):
    _run, _recipe, out = finished
    teacher, config = load_weights(out / "weights.safetensors")
    with torch.no_grad():
        teacher.fc.weight.zero_()
        teacher.fc.bias.copy_(torch.tensor([0.0, 8.0]))
    path = tmp_path / "teacher.safetensors"
    # This teacher always predicts "palace"; the temperature halves its logits.
    save_weights(path, teacher, dataclasses.replace(config, temperature=2.0))
    plain = dataclasses.replace(recipe, **SMALLEST, sizes=(32,), epochs=(4,), label_smoothing=0.0, ema=0.0)
    taught = dataclasses.replace(plain, teachers=(str(path),), teacher_share=1.0)
    train(folders, tmp_path / "taught", taught, devices="cpu")
    with (tmp_path / "taught" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # Only the teacher's prediction is learned, so the palaces, a third of the photos, end up right.
    assert float(rows[-1]["val_top1"]) == pytest.approx(1 / 3)
    assert not any("teacher" in name for name in state(tmp_path / "taught")["state_dict"])
    answers, features = Teachers([(teacher, config), (teacher, config)])(torch.zeros(2, 3, 32, 32))
    assert torch.allclose(answers[0], torch.tensor([0.0, 8.0]).softmax(0), atol=1e-3)
    assert features.shape == (2, 2 * teacher.num_features)
    relabelled = dataclasses.replace(config, keys=("flower", "castle"), labels=())
    save_weights(path, teacher, relabelled)
    with pytest.raises(TrainingError, match="must have the labels that are learned"):
        train(folders, tmp_path / "refused", taught, devices="cpu")


def test_bf16_on_a_manifest_with_unreadable_photos(folders, tmp_path, recipe):
    (tmp_path / "broken.png").write_bytes(b"")
    lines = [{"file": str(tmp_path / "broken.png"), "key": "flower", "split": split} for split in ("train", "val")]
    for number, photo in enumerate(read_photos(folders)):
        lines.append({"file": str(photo.path), "key": photo.key, "split": "val" if number % 3 == 0 else "train"})
    lines.append({"file": str(photo.path), "key": "other", "split": "train"})
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out = tmp_path / "run"
    recipe = dataclasses.replace(recipe, sizes=(24,), epochs=(1,), precision="bf16-mixed", balance=0)
    # Torch refuses Nesterov momentum if the momentum is 0.
    recipe = dataclasses.replace(recipe, momentum=0.0)
    run = train(manifest, out, recipe, devices="cpu")
    assert run["problems"] == [f"{tmp_path / 'broken.png'}: empty"]
    assert run["photos"]["train"]["other"] == 1
    assert load_weights(run["weights"])[1].keys == ("flower", "palace")


@pytest.mark.parametrize(("flags", "precision"), [({"avx2"}, "32-true"), ({"avx2", "avx512_bf16"}, "bf16-mixed")])
def test_a_device_without_bfloat16_trains_in_float32(folders, tmp_path, recipe, monkeypatch, flags, precision):
    monkeypatch.setattr(device, "cpu_flags", lambda: frozenset(flags))
    recipe = dataclasses.replace(recipe, sizes=(24,), epochs=(1,), precision="auto")
    run = train(folders, tmp_path / "run", recipe, devices="cpu")
    assert run["recipe"]["precision"] == precision
    assert load_recipe(tmp_path / "run" / "recipe.toml").precision == precision


def test_a_resumed_run_keeps_its_init_and_its_problems(finished, folders, tmp_path, capfd):
    _run, recipe, out = finished
    data, init = tmp_path / "data", str(out / "weights.safetensors")
    shutil.copytree(folders, data)
    (data / "flower" / "broken-\udcb2.png").write_bytes(b"")
    recipe = dataclasses.replace(recipe, epochs=(1, 0), balance=0, batch=22, val_share=0.1)
    run = train(data, tmp_path / "run", recipe, init=init, devices="cpu")
    assert run["problems"] == [f"{data}/flower/broken-\udcb2.png: empty"]
    # As if stopped just before its end.
    (tmp_path / "run" / "run.json").unlink()
    resumed = train(folders, tmp_path / "run", recipe, resume=True, devices="cpu")
    assert f"{tmp_path / 'run'}: goes on with its own photos; {folders} is not read\n" in capfd.readouterr().err
    assert (resumed["data"], resumed["init"], resumed["problems"]) == (str(data), init, run["problems"])
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["init"] == init
    Tagger.on_load_checkpoint(older := SimpleNamespace(init=None, data=""), {"history": []})
    assert (older.init, older.problems) == (None, {})


def test_data_without_readable_validation_or_training_photos_is_refused(folders, tmp_path, recipe, capfd):
    (tmp_path / "broken.png").write_bytes(b"")
    photos = zip(read_photos(folders), ("dog", "camping") * 4, strict=False)
    lines = [{"file": str(photo.path), "key": key, "split": "train"} for photo, key in photos]
    lines.append({"file": "broken.png", "key": "dog", "split": "val"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    recipe = dataclasses.replace(recipe, vocabulary="hashtags_ko", sizes=(24,), epochs=(1,))
    with pytest.raises(TrainingError, match=r"none of the photos can be read; the first: .*broken\.png: empty"):
        train(tmp_path, tmp_path / "run", recipe, devices="cpu")
    assert "no photos to learn these labels from: birthday, cafe, cat, chicken" in capfd.readouterr().err
    (tmp_path / "manifest.jsonl").write_text(
        "\n".join(map(json.dumps, lines)).replace("train", "test"), encoding="utf-8"
    )
    with pytest.raises(TrainingError, match="no photos in split train"):
        train(tmp_path, tmp_path / "run", recipe, devices="cpu")


def test_outputs_that_are_not_finite_are_reported(folders, tmp_path, recipe):
    with pytest.raises(TrainingError, match="epoch 1: the outputs of the network are not finite"):
        train(folders, tmp_path / "run", dataclasses.replace(recipe, std=(1e-39, 1e-39, 1e-39)), devices="cpu")


def test_ignored_labels_and_photos_are_reported(folders, tmp_path, recipe, capfd):
    lines = [{"file": str(photo.path), "key": photo.key} for photo in read_photos(folders)]
    for number, line in enumerate(lines):
        line["split"] = ("train", "train", "val", "")[number % 4]
    lines.append({**lines[0], "key": "hedge"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    recipe = dataclasses.replace(recipe, **SMALLEST, sizes=(24,), epochs=(1,), min_photos=3)
    run = train(tmp_path, tmp_path / "run", recipe, devices="cpu")
    assert run["photos"]["train"]["other"] == 1
    said = capfd.readouterr().err
    assert "labels of fewer than 3 photos (min_photos) are not learned: hedge" in said
    assert "7 photos have no split, while others do, and are not used" in said
    with pytest.raises(TrainingError, match=r"no label with enough photos to learn \(min_photos of the recipe: 30\)"):
        train(folders, tmp_path / "none", dataclasses.replace(recipe, min_photos=30), devices="cpu")


def test_the_command_adapts_the_recipe():
    recipe = Recipe(sizes=(64, 96), epochs=(8, 3), image_size=112)
    assert adapt(recipe, None, None, None) == recipe
    assert adapt(recipe, None, "9", None).epochs == (5, 4)
    assert adapt(recipe, None, "4,5", None).epochs == (4, 5)
    one = adapt(recipe, None, "1", None)
    assert (one.sizes, one.epochs, one.final_size) == ((64,), (1,), 64)
    assert adapt(recipe, None, "2", "64,80,96").sizes == (64, 80)
    three = adapt(recipe, "resnet18", None, "64,96,128")
    assert (three.model, three.sizes, three.epochs, three.final_size) == ("resnet18", (64, 96, 128), (4, 4, 3), 128)
    with pytest.raises(TrainingError, match="--size 'big'"):
        adapt(recipe, None, None, "big")
    with pytest.raises(TrainingError, match="same length"):
        adapt(recipe, None, "4,5", "64,96,128")
    with pytest.raises(TrainingError, match="positive"):
        adapt(recipe, None, "0", None)


def test_the_command_refuses_in_one_line(tmp_path, folders):
    for number, (arguments, said) in enumerate(
        (
            ([str(tmp_path / "absent")], "no such folder"),
            (
                [str(folders), "--vocabulary", "hashtags_ko"],
                "10 photos have keys that vocabulary hashtags_ko lacks: palace",
            ),
            ([str(folders), "--model", "sequential_cnn", "--devices", "some"], "devices 'some': give auto, cpu"),
        )
    ):
        result = CliRunner().invoke(group, ["train", *arguments, "--out", str(tmp_path / str(number))])
        assert result.exit_code == 1
        assert said in result.output
        assert "Traceback" not in result.output


def test_the_commands_import_nothing_heavy():
    code = (
        "import sys, hashtagger.cli.train, hashtagger.cli.evaluate;"
        "print([m for m in ('torch', 'lightning', 'numpy', 'matplotlib', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
