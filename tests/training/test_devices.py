import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from torch.utils.data import DataLoader

from hashtagger.errors import TrainingError
from hashtagger.models.config import ModelConfig
from hashtagger.training.augment import Augment
from hashtagger.training.distill import Teachers
from hashtagger.training.loading import steps_per_epoch, training_loader
from hashtagger.training.module import Tagger
from hashtagger.training.photos import Photo, read_photos, write_manifest
from hashtagger.training.recipe import Recipe
from hashtagger.training.split import split_photos
from hashtagger.training.train import train

RECIPE = Recipe(
    vocabulary="",
    model="convnext_atto",  # no batch norm, whose statistics are not synchronized on CPUs
    model_options={"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]},
    sizes=(32,),
    epochs=(3,),
    batch=20,
    precision="32-true",
    learning_rate=0.5,
    ema=0.5,
)


def train_in_two(data, out):
    """Run the command on two processes with half the batch each."""
    recipe_file = out.with_suffix(".toml")
    recipe_file.write_text(dataclasses.replace(RECIPE, batch=10).to_toml(), encoding="utf-8")
    command = [sys.executable, "-m", "hashtagger", "train", data, "--recipe", recipe_file, "--out", out]
    # Below the ports that the servers of other tests are given, one of which could take Lightning's free port first.
    port = str(20_000 + os.getpid() % 10_000)
    environment = {
        **os.environ,
        "LANGUAGE": "en",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MASTER_PORT": port,
    }
    done = subprocess.run(
        [*map(str, command), "--devices", "2", "--nodes", "1", "--strategy", "ddp"],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == done.stderr.count("epoch 3 of 3: loss ") == 1


def state(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)


def test_two_processes_learn_what_one_learns(folders, tmp_path):
    """An epoch is one step of 20 of the 21 photos, all in one process or ten in each of two.

    One of the ten that validate cannot be read.
    """
    (tmp_path / "broken.png").write_bytes(b"")
    photos = split_photos(read_photos(folders), 0.3, seed=0)
    data = tmp_path / "photos.jsonl"
    broken = Photo(tmp_path / "broken.png", "flower", "val")
    write_manifest([*photos, broken], data)
    train(data, tmp_path / "one", RECIPE, devices="cpu")
    train_in_two(data, tmp_path / "two")
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert one["global_step"] == two["global_step"] == 3
    moved = 0.0
    for name, tensor in one["state_dict"].items():
        assert torch.allclose(tensor, two["state_dict"][name], rtol=1e-3, atol=1e-5), name
        if name.startswith("average."):
            network = one["state_dict"]["network." + name.removeprefix("average.")]
            moved = max(moved, float((network - tensor).abs().max()))
    assert moved > 1e-3, "nothing was learned"
    # The second process encounters it, and the first records it.
    assert list(two["problems"]) == list(one["problems"]) == [f"{broken.path}: empty"]
    for row, same in zip(one["history"], two["history"], strict=True):
        assert abs(row["val_loss"] - same["val_loss"]) < 1e-4
        assert row["val_top1"] == same["val_top1"]


@pytest.mark.parametrize(
    ("photos", "batch", "devices"), [(21, 10, 1), (21, 10, 2), (100, 32, 2), (30, 4, 3), (5, 8, 2)]
)
def test_steps_per_epoch_match_the_distributed_sampler(photos, batch, devices, recipe):
    loader = training_loader([Photo(Path("a"), "dog")] * photos, Augment(recipe, 24), batch=batch, balance=0.5, seed=0)
    shared = DistributedSamplerWrapper(loader.sampler, num_replicas=devices, rank=0)
    each = DataLoader(loader.dataset, batch_size=loader.batch_size, sampler=shared)
    assert steps_per_epoch(photos, batch, devices) == len(each)


def test_devices_share_out_one_order_and_each_draws_its_own_variations(folders, recipe, monkeypatch):
    photos = read_photos(folders)
    tagger = Tagger(
        torch.nn.Identity(), recipe, ModelConfig("", "", ("flower", "palace"), 24), photos, [], Teachers([]), print
    )

    def first_batch(rank):
        monkeypatch.setattr(Tagger, "global_rank", rank)
        pixels, index, _problems = next(iter(tagger.train_dataloader()))
        return pixels, index.tolist()

    here, there = first_batch(0), first_batch(1)
    assert here[1] == there[1]
    assert not torch.equal(here[0], there[0])


def test_what_lightning_refuses_is_one_line(folders, tmp_path, recipe):
    for settings, said in (({"strategy": "telepathy"}, "telepathy"), ({"devices": "0,99"}, "devices")):
        with pytest.raises(TrainingError, match=said):
            train(folders, tmp_path / said, recipe, **settings)
