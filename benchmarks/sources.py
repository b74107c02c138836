"""How fast posts stream out of a data export, and in how much memory, as the export grows.

    python benchmarks/sources.py FOLDER [--sizes 10000,100000]

FOLDER is where the made-up exports are written, one empty file a post, and removed again. An archive's directory is
held in memory while it is read, a folder's is not.
"""

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from multiprocessing.queues import Queue
from pathlib import Path

MONTHS = [f"media/posts/{year}{month:02d}" for year in range(2014, 2024) for month in range(1, 13)]


def entries(size: int) -> Iterator[tuple[str, str]]:
    for number in range(size):
        uri = f"{MONTHS[number % len(MONTHS)]}/{number}_{number * 7}_n_1790000{number:010d}.jpg"
        title = f"우리집 댕댕이 {number} #강아지 #산책".encode().decode("latin-1")
        media = {"uri": uri, "creation_timestamp": 1_400_000_000 + number * 300, "title": title}
        yield uri, json.dumps({"media": [{**media, "media_metadata": {"camera_metadata": {"has": False}}}]})


def write_folder(root: Path, size: int) -> None:
    for month in MONTHS:
        (root / month).mkdir(parents=True)
    (root / "content").mkdir()
    with (root / "content" / "posts_1.json").open("w") as out:
        for number, (uri, entry) in enumerate(entries(size)):
            out.write(("," if number else "[") + entry)
            (root / uri).touch()
        out.write("]")


def write_archive(path: Path, size: int) -> None:
    with zipfile.ZipFile(path, "w") as out:
        for uri, __ in entries(size):
            out.writestr(uri, b"")
        out.writestr("content/posts_1.json", "[" + ",".join(entry for __, entry in entries(size)) + "]")


def measure(path: Path, answers: Queue) -> None:
    from hashtagger.posts import open_source

    start = time.perf_counter()
    count = sum(len(post.media) for post in open_source(path).posts())
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    answers.put((count, time.perf_counter() - start, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default="10000,100000")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{'form':8} {'posts':>9} {'seconds':>8} {'µs a post':>10} {'peak MB':>8}")
    for size in map(int, arguments.sizes.split(",")):
        for form, write in (("folder", write_folder), ("archive", write_archive)):
            path = arguments.folder / f"export-{size}{'.zip' if form == 'archive' else ''}"
            write(path, size)
            answers = context.Queue()
            process = context.Process(target=measure, args=(path, answers))
            process.start()
            count, seconds, peak = answers.get()
            process.join()
            assert count == size, f"{count} of {size} posts"
            print(f"{form:8} {size:9,} {seconds:8.1f} {seconds / size * 1e6:10.0f} {peak:8.0f}", flush=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main()
