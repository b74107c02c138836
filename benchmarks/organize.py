"""Time of organizing real JPEGs, compared with `cp -r` and hashing, and of planning up to a million posts.

    python benchmarks/organize.py copy SCRATCH [--files 20000] [--tool /path/to/organize]
    python benchmarks/organize.py plan [--posts 10000 100000 1000000]

`copy` fills SCRATCH/source with JPEGs of about 200 kB: noisy crops of scikit-learn's two sample photos, each with a
unique JPEG comment. SCRATCH should be on a disk, not in memory. All methods then run in turn on the same source, which
is evicted from the page cache before each of them (a library of many years is not in memory); each time includes a
final `sync`. The baseline is `cp -r` followed by hashing the source once, which is then cached. It makes no links for
tags, no sidecars, no gallery and no table; the runs without tags and sidecars, and the times of each run's parts, show
what these cost. None of the methods makes thumbnails.

`--tool` adds the `organize` command of the package organize-tool (`pip install organize-tool`, in a separate
environment), which copies by EXIF date and neither hashes nor verifies.

`plan` runs each size in a separate process and reads its peak memory.
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
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from hashtagger.organize import organize, run
from hashtagger.organize.journal import journal_path
from hashtagger.organize.layout import Layout
from hashtagger.organize.plan import make_plan
from hashtagger.posts.post import Media, MediaKind, Post, Problem

SEOUL = timezone(timedelta(hours=9))
PIECES = 100
HASHING = "hashing the source"
WITH_SCRIPT = "by date: hash, copy2, hash; one at a time"
WITH_TOOL = "organize-tool, by EXIF date, no hashes"


class Folder:
    """Posts of one photo each, over three years, with tags drawn from 300.

    Files of the kind ``"other"`` get no sidecar.
    """

    def __init__(self, root: Path, tags: int = 3, kind: MediaKind = "photo") -> None:
        self.problems: list[Problem] = []
        self.root, self.tags, self.kind = root, tags, kind

    def posts(self) -> Iterator[Post]:
        """Yield them, oldest first."""
        chance = random.Random(0)
        for number, name in enumerate(sorted(path.name for path in self.root.iterdir())):
            path = self.root / name
            tags = tuple(f"태그{int(300 * chance.random() ** 3)}" for _ in range(self.tags))
            yield Post(taken(number), (Media(path.name, str(path), self.kind, path),), f"사진 {number}", tags)


def taken(number: int) -> datetime:
    return datetime(2020, 1, 1, tzinfo=SEOUL) + timedelta(minutes=79 * number)


class Synthetic:
    """Posts of one photo each in an archive whose files are never read: all sizes differ, so none are compared."""

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
    """Make the JPEGs, unless they already exist."""
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
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{taken(number):%Y:%m:%d %H:%M:%S}"
        segments = segment(0xE1, exif.tobytes()) + segment(0xFE, comment)
        (source / f"IMG_{number:06d}.jpg").write_bytes(piece[:2] + segments + piece[2:])


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def hash_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state = hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    state.update(chunk)


def one_at_a_time(source: Path, target: Path) -> None:
    """Sort as a simple script would, in one thread: hash each file, copy it with copy2 and compare the hashes."""
    seen = set()
    for post in Folder(source).posts():
        path = post.media[0].path
        assert path is not None
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        copy = target / f"{post.taken_at:%Y/%m}" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        if hashlib.sha256(copy.read_bytes()).hexdigest() != digest:
            raise OSError(f"{copy} differs")


def with_tool(tool: str, source: Path, target: Path) -> None:
    """Sort with the package organize-tool."""
    config = target.with_suffix(".yaml")
    month = "{exif.exif.datetimeoriginal.strftime('%Y/%m')}"
    config.write_text(
        f"rules:\n  - locations: {source}\n    filters:\n      - extension: jpg\n"
        f'      - exif: exif.datetimeoriginal\n    actions:\n      - copy: "{target}/{month}/"\n'
    )
    command = [tool, "run", str(config), "--format", "errorsonly"]
    print("ran:", " ".join(command), "with", config.read_text(), sep="\n", file=sys.stderr)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def compare_copying(scratch: Path, files: int, tool: str | None) -> None:
    source = scratch / "source"
    fill(source, files)
    size = sum(path.stat().st_size for path in source.iterdir())
    print(f"{files} JPEGs, {size / files / 1000:.0f} kB each, {size / 1e9:.2f} GB")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

    def organized(posts: Folder, target: str, mode: str) -> Callable[[], object]:
        options = {"mode": mode, "lang": "en", "tag_untagged": False}
        return lambda: organize(posts, scratch / target, **options)  # type: ignore[arg-type]

    # Targets are separate and removed at the end: ext4 is slow to create files where others were just deleted.
    ways: dict[str, Callable[[], object]] = {
        "cp -r": lambda: subprocess.run(["cp", "-r", source, scratch / "cp"], check=True),
        HASHING: lambda: hash_all(source),
        "organize --mode copy": organized(Folder(source), "copy", "copy"),
        "  without tags": organized(Folder(source, tags=0), "copy0", "copy"),
        "  without tags and sidecars": organized(Folder(source, tags=0, kind="other"), "copy00", "copy"),
        "the same again (nothing to do)": organized(Folder(source), "copy", "copy"),
        "organize --mode hardlink": organized(Folder(source), "hardlink", "hardlink"),
        "  cp -rl of that tree": lambda: subprocess.run(
            ["cp", "-rl", scratch / "hardlink", scratch / "cpl"], check=True
        ),
        "  hard-linked, without both": organized(Folder(source, tags=0, kind="other"), "links", "hardlink"),
        WITH_SCRIPT: lambda: one_at_a_time(source, scratch / "plain"),
    }
    if tool:
        ways[WITH_TOOL] = lambda: with_tool(tool, source, scratch / "tool")
    took, parts = {}, {}
    for name, way in ways.items():
        if name != HASHING:
            evict(source)
        with measured_parts() as parts[name]:
            took[name] = timed(way)
    for target in scratch.iterdir():
        if target != source and target.is_dir():
            shutil.rmtree(target)
    floor, cpu_floor = (sum(both) for both in zip(took["cp -r"], took[HASHING], strict=True))
    print(f"\n{'':50}{'seconds':>9}{'cp+hash':>9}{'CPU s':>9}{'cp+hash':>9}   of which planning, files, pages")
    for name, (seconds, cpu) in took.items():
        row = f"{name:50}{seconds:9.2f}{seconds / floor:9.2f}{cpu:9.2f}{cpu / cpu_floor:9.2f}"
        print(row + ("   " + " ".join(f"{part:7.2f}" for part in parts[name].values())).rstrip())
    print("\nTimes as long as hard-linking:")
    for name in ("organize --mode copy", WITH_SCRIPT, WITH_TOOL):
        if name in took:
            print(f"{name:50}{took[name][0] / took['organize --mode hardlink'][0]:9.1f}")
    bare = took["  without tags and sidecars"][0] / took["  hard-linked, without both"][0]
    print(f"{'copying without tags and sidecars, without both':50}{bare:9.1f}")


@contextmanager
def measured_parts() -> Iterator[dict[str, float]]:
    """Measure the time of each part of organizing."""
    seconds: dict[str, float] = {}
    real = {name: getattr(run, name) for name in ("make_plan", "apply", "write_pages")}

    def noting(name: str) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            start = time.perf_counter()
            try:
                return real[name](*arguments, **options)
            finally:
                seconds[name] = time.perf_counter() - start

        return call

    try:
        for name in real:
            setattr(run, name, noting(name))
        yield seconds
    finally:
        for name, function in real.items():
            setattr(run, name, function)


def evict(source: Path) -> None:
    """Flush pending writes, and evict the source from the page cache on systems that support it."""
    os.sync()
    for path in source.iterdir() if hasattr(os, "posix_fadvise") else ():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(way: Callable[[], object]) -> tuple[float, float]:
    """Return the wall time and the CPU time of all threads and child processes, in seconds."""
    start, before = time.perf_counter(), os.times()
    way()
    os.sync()
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


def plan_one(count: int) -> None:
    """Plan in this process; print wall and CPU seconds, peak memory in MB and the draft's size in MB."""
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
    copy.add_argument("--tool", default=shutil.which("organize"))
    plan = commands.add_parser("plan")
    plan.add_argument("--posts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    one = commands.add_parser("plan-one")
    one.add_argument("count", type=int)
    given = parser.parse_args()
    if given.command == "copy":
        compare_copying(given.scratch, given.files, given.tool)
    elif given.command == "plan":
        compare_planning(given.posts)
    else:
        plan_one(given.count)


if __name__ == "__main__":
    main()
