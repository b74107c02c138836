"""How long organizing takes: against `cp -r` and hashing on real JPEGs, and planning of up to a million posts.

    python benchmarks/organize.py copy SCRATCH [--files 20000]
    python benchmarks/organize.py plan [--posts 10000 100000 1000000]

`copy` fills SCRATCH/source with JPEGs of about 200 kB: pieces of scikit-learn's two sample photos with noise, each made
different by a JPEG comment of its own. All ways then run one after the other, on a warm cache, with the same source;
each includes a final `sync`. `plan` runs each size in a process of its own and reads its peak memory.
"""

import argparse
import hashlib
import io
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from hashtagger.organize import organize
from hashtagger.organize.journal import journal_path
from hashtagger.organize.layout import Layout
from hashtagger.organize.plan import make_plan
from hashtagger.posts.post import Media, Post, Problem

SEOUL = timezone(timedelta(hours=9))
PIECES = 100


class Folder:
    """Posts of one photo each, three years of them, with three of 300 tags each."""

    def __init__(self, root: Path) -> None:
        self.problems: list[Problem] = []
        self.root = root

    def posts(self) -> Iterator[Post]:
        """Yield them, oldest first."""
        chance = random.Random(0)
        for number, name in enumerate(sorted(path.name for path in self.root.iterdir())):
            path = self.root / name
            when = datetime(2020, 1, 1, tzinfo=SEOUL) + timedelta(minutes=79 * number)
            tags = tuple(f"태그{int(300 * chance.random() ** 3)}" for _ in range(3))
            yield Post(when, (Media(path.name, str(path), "photo", path),), f"사진 {number}", tags)


class Synthetic:
    """Posts of one photo each in an archive that is never read: every size differs, so no content has to be."""

    problems: list[Problem] = []  # noqa: RUF012

    def __init__(self, count: int, archive: Path) -> None:
        self.count, self.archive = count, archive

    def posts(self) -> Iterator[Post]:
        """Yield them, oldest first."""
        chance = random.Random(0)
        for number in range(self.count):
            when = datetime(2012, 1, 1, tzinfo=SEOUL) + timedelta(seconds=400 * number)
            name = f"IMG_{number % 9999:04d}.jpg" if number % 10 == 0 else f"{number}_n_179{number:014d}.jpg"
            tags = tuple(f"태그{int(20000 * chance.random() ** 4)}" for _ in range(1 + number % 6))
            member = f"media/posts/{when:%Y%m}/{name}"
            media = Media(name, f"{self.archive}!{member}", "photo", None, self.archive, member, 100_000 + number)
            yield Post(
                when, (media,), f"{number}번째 게시물입니다. 오늘도 좋은 하루였어요 " + "#" + " #".join(tags), tags
            )


def fill(source: Path, files: int) -> None:
    """Make the JPEGs that are not there yet."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    source.mkdir(parents=True, exist_ok=True)
    there = sum(1 for _ in source.iterdir())
    if there == files:
        return
    for path in source.iterdir():
        path.unlink()
    rng = np.random.default_rng(0)
    images, pieces = load_sample_images().images, []
    for number in range(PIECES):
        top, left = rng.integers(0, 27), rng.integers(0, 40)
        piece = images[number % 2][top : top + 400, left : left + 600].astype(np.int16)
        noisy = np.clip(piece + rng.normal(0, 12, piece.shape), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(noisy).save(out, "JPEG", quality=96)
        pieces.append(out.getvalue())
    chance = random.Random(0)
    for number in range(files):
        piece = pieces[number % PIECES]
        comment = number.to_bytes(8, "big") + chance.randbytes(chance.randrange(30_000))
        segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
        (source / f"IMG_{number:06d}.jpg").write_bytes(piece[:2] + segment + piece[2:])


def hash_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state = hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    state.update(chunk)


def one_at_a_time(source: Path, target: Path) -> None:
    """The usual tool's way, in one thread: for each file its hash, its folder, copy2, and compare hashes."""
    seen = set()
    for post in Folder(source).posts():
        path = post.media[0].path
        assert path is not None
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        folders = [f"date/{post.taken_at:%Y/%m}", *(f"tag/{tag}" for tag in dict.fromkeys(post.tags))]
        for folder in folders:
            (target / folder).mkdir(parents=True, exist_ok=True)
            copy = target / folder / path.name
            shutil.copy2(path, copy)
            if hashlib.sha256(copy.read_bytes()).hexdigest() != digest:
                raise OSError(f"{copy} differs")


def compare_copying(scratch: Path, files: int) -> None:
    source = scratch / "source"
    fill(source, files)
    size = sum(path.stat().st_size for path in source.iterdir())
    print(f"{files} JPEGs, {size / files / 1000:.0f} kB each, {size / 1e9:.2f} GB")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

    def organized(target: str, mode: str) -> Callable[[], object]:
        options = {"mode": mode, "lang": "en", "tag_untagged": False}
        return lambda: organize(Folder(source), scratch / target, **options)  # type: ignore[arg-type]

    # Each has a target of its own, removed at the end: ext4 is slow to make files where others were just deleted.
    ways: dict[str, Callable[[], object]] = {
        "cp -r": lambda: subprocess.run(["cp", "-r", source, scratch / "cp"], check=True),
        "hashing (one pass)": lambda: hash_all(source),
        "organize --mode copy": organized("copy", "copy"),
        "the same again (nothing to do)": organized("copy", "copy"),
        "organize --mode hardlink": organized("hardlink", "hardlink"),
        "hash, copy2 to each folder, hash; one at a time": lambda: one_at_a_time(source, scratch / "plain"),
    }
    hash_all(source)
    took = {}
    for name, way in ways.items():
        os.sync()
        took[name] = timed(way)
    for target in ("cp", "copy", "hardlink", "plain"):
        shutil.rmtree(scratch / target)
    floor = took["cp -r"] + took["hashing (one pass)"]
    floor_both = floor + took["hashing (one pass)"]
    print(f"\n{'':50}{'seconds':>9}{'files/s':>9}{'cp+hash':>9}{'cp+2 hash':>11}")
    for name, seconds in took.items():
        row = f"{seconds:9.2f}{files / seconds:9.0f}{seconds / floor:9.2f}{seconds / floor_both:11.2f}"
        print(f"{name:50}{row}")
    ratio = took["organize --mode copy"] / took["organize --mode hardlink"]
    print(f"\ncopying takes {ratio:.1f} times as long as hard-linking")


def timed(way: Callable[[], object]) -> float:
    start = time.perf_counter()
    way()
    os.sync()
    return time.perf_counter() - start


def plan_one(count: int) -> None:
    """Plan in this process; print seconds, peak memory in MB and the draft's size in MB."""
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "export.zip").touch()
        start, cpu = time.perf_counter(), time.process_time()
        make_plan(
            Synthetic(count, root / "export.zip"), root / "sorted", journal_path(root / "sorted"), root,
            layout=Layout(("date", "tag"), "ko", 2), zone=SEOUL, how="copy", tag=False,
        )  # fmt: skip
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(seconds, cpu, peak, (root / "draft.sqlite").stat().st_size / 1e6)


def compare_planning(counts: list[int]) -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'posts':>9}{'seconds':>9}{'CPU s':>9}{'CPU us/p':>9}{'peak MB':>9}{'plan MB':>9}")
    for count in counts:
        ran = subprocess.run(
            [sys.executable, __file__, "plan-one", str(count)], capture_output=True, text=True, check=True
        )
        seconds, cpu, peak, size = map(float, ran.stdout.split())
        print(f"{count:9}{seconds:9.1f}{cpu:9.1f}{cpu / count * 1e6:9.1f}{peak:9.0f}{size:9.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    copy = commands.add_parser("copy")
    copy.add_argument("scratch", type=Path)
    copy.add_argument("--files", type=int, default=20_000)
    plan = commands.add_parser("plan")
    plan.add_argument("--posts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    one = commands.add_parser("plan-one")
    one.add_argument("count", type=int)
    given = parser.parse_args()
    if given.command == "copy":
        compare_copying(given.scratch, given.files)
    elif given.command == "plan":
        compare_planning(given.posts)
    else:
        plan_one(given.count)


if __name__ == "__main__":
    main()
