"""Load test of the web page: python benchmarks/serving.py PHOTOS [--users 50] [--seconds 60].

Concurrent users upload one photo after another to a server with a temporary data folder. The output shows their wait
compared with the bare model's time for the same photos, whether every answered upload is in the history, and the
server's memory use. Linux only, because it reads the memory from /proc.
"""

import argparse
import asyncio
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from hashtagger.images import find_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    photos = find_photos(arguments.photos)[:200]
    bare = time_model(photos)
    with tempfile.TemporaryDirectory(prefix="hashtagger-") as folder:
        environment = {
            **os.environ,
            "HASHTAGGER_DATA_DIR": folder,
            "HASHTAGGER_DATABASE_URL": "",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "hashtagger", "serve", "--no-browser", "--port", "0"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = re.search(r"http://[\w.:]+\d", server.stdout.readline())[0]
            waits, failures, memory, pages, kept = asyncio.run(load(url, photos, arguments, server.pid))
            server.terminate()
    row = "{:<44}{:>12}".format
    print(row("users", arguments.users))
    print(row("seconds", round(arguments.seconds)))
    print(row("uploads answered", len(waits)))
    print(row("uploads failed", len(failures)), *sorted(set(failures))[:3])
    print(row("answered uploads missing from the history", len(waits) - kept))
    print(row("photos a second, through the page", f"{len(waits) / arguments.seconds:.1f}"))
    print(row("photos a second, the bare model", f"{1 / statistics.mean(bare):.1f}"))
    print(row("wait, median", f"{1000 * statistics.median(waits):.0f} ms"))
    print(row("wait, 95th percentile", f"{1000 * percentile(waits, 95):.0f} ms"))
    print(row("bare model, one photo, 95th percentile", f"{1000 * percentile(bare, 95):.0f} ms"))
    print(row("ratio of the two, by user", f"{percentile(waits, 95) / percentile(bare, 95) / arguments.users:.2f}"))
    print(row("another page meanwhile, 95th percentile", f"{1000 * percentile(pages, 95):.0f} ms"))
    print(row("memory after a fifth of the time, at the end", f"{memory[len(memory) // 5]} {memory[-1]} MiB"))


def time_model(photos: list[Path]) -> list[float]:
    """Return the seconds that the warmed-up model takes for each photo by itself."""
    from hashtagger.recommend import Recommender

    recommender = Recommender()
    recommender.recommend(photos[0])
    times = []
    for photo in photos:
        begin = time.perf_counter()
        recommender.recommend(photo)
        times.append(time.perf_counter() - begin)
    return times


async def load(url: str, photos: list[Path], arguments: argparse.Namespace, pid: int) -> tuple:
    waits: list[float] = []
    failures: list[str] = []
    memory: list[int] = []
    pages: list[float] = []
    contents = [(photo.name, photo.read_bytes()) for photo in photos]
    limits = httpx.Limits(max_connections=arguments.users + 2)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        token = re.search(r'name="csrf" content="(\w+)"', (await client.get("/")).text)[1]
        headers = {"X-CSRF-Token": token}

        async def upload(photo: tuple[str, bytes]) -> None:
            begin = time.perf_counter()
            try:
                answer = await client.post("/recommend", headers=headers, files={"file": photo})
            except httpx.HTTPError as error:
                failures.append(repr(error))
                return
            if answer.status_code == 200:
                waits.append(time.perf_counter() - begin)
            else:
                failures.append(f"{answer.status_code}")

        await upload(contents[0])
        waits.clear()
        end = time.monotonic() + arguments.seconds

        async def user(number: int) -> None:
            for photo in itertools.islice(itertools.cycle(contents), number, None):
                if time.monotonic() > end:
                    return
                await upload(photo)

        async def watch() -> None:
            while time.monotonic() < end:
                status = Path(f"/proc/{pid}/status").read_text()
                memory.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024)
                begin = time.perf_counter()
                (await client.get("/library")).raise_for_status()
                pages.append(time.perf_counter() - begin)
                await asyncio.sleep(0.5)

        await asyncio.gather(watch(), *(user(number) for number in range(arguments.users)))
        kept = len((await client.get("/history/export.json")).json()) - 1
    return waits, failures, memory, pages, kept


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest value that at least ``percent`` percent of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


if __name__ == "__main__":
    main()
