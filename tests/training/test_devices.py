import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from torch.utils.data import DataLoader

from hashtagger.errors import TrainingError
from hashtagger.training.augment import Augment
from hashtagger.training.dataset import (
    Photo,
    read_photos,
    split_photos,
    steps_per_epoch,
    training_loader,
    write_manifest,
)
from hashtagger.training.recipe import Recipe
from hashtagger.training.train import train as lightning_train


def train(folders, out, batch, devices, recipe_file):
    recipe = Recipe(
        vocabulary="",
        model="convnext_atto",  # without batch norm, whose statistics are each process's own on CPUs
        model_options={"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]},
        sizes=(32,),
        epochs=(3,),
        batch=batch,
        precision="32-true",
        learning_rate=0.5,
        ema=0.5,
    )
    recipe_file.write_text(recipe.to_toml(), encoding="utf-8")
    command = [sys.executable, "-m", "hashtagger", "train", folders, "--recipe", recipe_file, "--out", out]
    environment = {**os.environ, "LANGUAGE": "en", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*map(str, command), "--devices", devices, "--nodes", "1", "--strategy", "auto" if devices == "cpu" else "ddp"],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)


def test_two_processes_learn_what_one_learns(folders, tmp_path):
    """An epoch is one step of 20 of the 21 photos, all in one process or ten in each of two.

    One of the ten that validate cannot be read.
    """
    (tmp_path / "broken.png").write_bytes(b"")
    photos = split_photos(read_photos(folders), 0.3, seed=0)
    data = tmp_path / "photos.jsonl"
    broken = Photo(tmp_path / "broken.png", "flower", "val")
    write_manifest([*photos, broken], data)
    one = train(data, tmp_path / "one", 20, "cpu", tmp_path / "one.toml")
    two = train(data, tmp_path / "two", 10, "2", tmp_path / "two.toml")
    assert one["global_step"] == two["global_step"] == 3
    moved = 0.0
    for name, tensor in one["state_dict"].items():
        assert torch.allclose(tensor, two["state_dict"][name], rtol=1e-3, atol=1e-5), name
        if name.startswith("average."):
            network = one["state_dict"]["network." + name.removeprefix("average.")]
            moved = max(moved, float((network - tensor).abs().max()))
    assert moved > 1e-3, "nothing was learned"
    # The second process meets it, and the first writes it down.
    assert list(two["problems"]) == list(one["problems"]) == [f"{broken.path}: empty"]
    for row, same in zip(one["history"], two["history"], strict=True):
        assert abs(row["val_loss"] - same["val_loss"]) < 1e-4
        assert row["val_top1"] == same["val_top1"]


@pytest.mark.parametrize(
    ("photos", "batch", "devices"), [(21, 10, 1), (21, 10, 2), (100, 32, 2), (30, 4, 3), (5, 8, 2)]
)
def test_the_learning_rate_falls_over_the_steps_that_there_are(photos, batch, devices, recipe):
    loader = training_loader([Photo(Path("a"), "dog")] * photos, Augment(recipe, 24), batch=batch, balance=0.5, seed=0)
    shared = DistributedSamplerWrapper(loader.sampler, num_replicas=devices, rank=0)
    each = DataLoader(loader.dataset, batch_size=loader.batch_size, sampler=shared)
    assert steps_per_epoch(photos, batch, devices) == len(each)


def test_what_lightning_refuses_is_one_line(folders, tmp_path, recipe):
    for settings, said in (({"strategy": "telepathy"}, "telepathy"), ({"devices": "0,99"}, "devices")):
        with pytest.raises(TrainingError, match=said):
            lightning_train(folders, tmp_path / said, recipe, **settings)
