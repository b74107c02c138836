"""Speed and memory of reading posts from data exports of growing size.

    python benchmarks/sources.py FOLDER [--sizes 10000,100000]

Synthetic sources, with one empty file per post, are written to FOLDER and removed again: an export as a folder and as
an archive, and an instaloader folder with a sidecar per post. Each is read in a separate process.
"""

import argparse
import json
import lzma
import multiprocessing
import resource
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
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


def write_sidecars(root: Path, size: int) -> None:
    """Write a profile as instaloader saves it: a picture and a sidecar for each post."""
    (root / "someone").mkdir(parents=True)
    for number in range(size):
        when = datetime.fromtimestamp(1_400_000_000 + number * 300, timezone.utc)
        stem = f"{root}/someone/{when:%Y-%m-%d_%H-%M-%S}_UTC"
        text = f"우리집 댕댕이 {number} #강아지 #산책"
        node = {
            "shortcode": f"Cr{number:09d}", "__typename": "GraphImage", "is_video": False, "id": str(number),
            "taken_at_timestamp": int(when.timestamp()), "owner": {"id": "7", "username": "someone"},
            "edge_media_to_caption": {"edges": [{"node": {"text": text}}]},
            "display_url": "https://scontent.cdninstagram.com/" + "x" * 300,
        }  # fmt: skip
        structure = {"node": node, "instaloader": {"version": "4.14", "node_type": "Post"}}
        Path(stem + ".jpg").touch()
        with lzma.open(stem + ".json.xz", "wt", check=lzma.CHECK_NONE, preset=0) as out:
            json.dump(structure, out)


FORMS = {"folder": write_folder, "archive": write_archive, "sidecars": write_sidecars}


def measure(path: Path, answers: Queue) -> None:
    from hashtagger.posts import open_source

    start, cpu = time.perf_counter(), time.process_time()
    count = sum(len(post.media) for post in open_source(path).posts())
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    answers.put((count, time.perf_counter() - start, time.process_time() - cpu, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--forms", default=",".join(FORMS))
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{'form':8} {'posts':>9} {'seconds':>8} {'CPU s':>8} {'CPU µs a post':>14} {'peak MB':>8}")
    for size in map(int, arguments.sizes.split(",")):
        for form in arguments.forms.split(","):
            path = arguments.folder / f"source-{size}{'.zip' if form == 'archive' else ''}"
            arguments.folder.mkdir(parents=True, exist_ok=True)
            # On Linux a child inherits its parent's peak memory, so this process must stay small.
            writing = context.Process(target=FORMS[form], args=(path, size))
            writing.start()
            writing.join()
            answers = context.Queue()
            process = context.Process(target=measure, args=(path, answers))
            process.start()
            count, seconds, cpu, peak = answers.get()
            process.join()
            assert count == size, f"{count} of {size} posts"
            row = f"{form:8} {size:9,} {seconds:8.1f} {cpu:8.1f} {cpu / size * 1e6:14.0f} {peak:8.0f}"
            print(row, flush=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main()
