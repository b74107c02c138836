"""Take screenshots of the web page: python docs/screenshots.py OUT.

Runs a server with a library of crops of scikit-learn's two sample photos in a temporary data folder, operates its pages
in a browser and saves each as OUT/page-NAME.webp. Needs Chromium and a Korean font (on Debian fonts-noto-cjk).
"""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import sklearn.datasets
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

SAMPLES = Path(sklearn.datasets.__file__).parent / "images"
FLOWER, PALACE = SAMPLES / "flower.jpg", SAMPLES / "china.jpg"
CAPTIONS = {
    FLOWER: ("#꽃스타그램 #달리아", "우리 동네 #꽃 #정원", "#여름꽃 #꽃스타그램", "#꽃 #봄소풍", "#달리아 #꽃"),
    PALACE: ("#여행스타그램 #궁궐", "호수가 보인다 #여행 #호수", "#여행 #여름휴가", "#등산 #여행", "#궁궐 #여행"),
}
POSTS = 34


def main() -> None:
    """Start the servers, and save a picture of each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with playing() as (browser, folder):
        with serving(folder / "data") as url:
            for name, show, look in (
                ("recommend", recommend, {}),
                ("landmarks", landmarks, {"locale": "en-US"}),
                ("heroes", heroes, {"color_scheme": "dark"}),
                ("library", library, {"locale": "en-US"}),
                ("post", post, {}),
                ("sort", sort, {}),
                ("history", history, {"locale": "en-US", "color_scheme": "dark"}),
                ("phone", recommend, {"width": 360, "color_scheme": "dark"}),
            ):
                save(shot(browser, url, folder, show, **look), out / f"page-{name}.webp")
        with serving(folder / "town", "--accounts") as url:
            save(shot(browser, url, folder, account, locale="en-US"), out / "page-account.webp")


def recommend(page: Page, folder: Path) -> None:
    """Two photos with their tags, the pointer on one of the tags."""
    page.goto("/")
    page.set_input_files("#choose", [PALACE, FLOWER])
    page.locator(".result").nth(1).wait_for()
    page.locator(".card").first.locator("[data-heat]").first.hover()
    page.locator(".card").first.locator(".heat").wait_for()


def landmarks(page: Page, folder: Path) -> None:
    """A photo that shows none of the known landmarks, for which the page says that it is not sure."""
    look_for(page, "landmarks_world", PALACE)


def heroes(page: Page, folder: Path) -> None:
    """A photo compared with every hero."""
    look_for(page, "heroes", FLOWER)


def library(page: Page, folder: Path) -> None:
    """The library with an imported export and some posts selected."""
    page.goto("/library")
    if not page.locator(".tile").count():
        page.locator("#path").fill(str(export(folder)))
        page.locator("form[action='/library/imports'] button").click()
        page.locator(".import.done").wait_for()
        page.locator("[hx-post$=dismiss]").click()
        page.goto("/library")
    for number in (1, 2):
        page.locator(".tile input").nth(number).check()


def post(page: Page, folder: Path) -> None:
    """One post, large."""
    library(page, folder)
    page.locator(".tile a").nth(3).click()
    page.locator(".large img").wait_for()


def sort(page: Page, folder: Path) -> None:
    """The plan for a sorted folder."""
    library(page, folder)
    page.goto("/library/sort")
    page.locator("#destination").fill("/tmp/sorted")
    page.locator("form.sort button").click()
    page.locator("[hx-post$=apply]").first.wait_for()


def history(page: Page, folder: Path) -> None:
    """The history of recommendations."""
    page.goto("/history")


def account(page: Page, folder: Path) -> None:
    """The log-in page of a server with accounts."""
    page.goto("/login")


def look_for(page: Page, vocabulary: str, photo: Path) -> None:
    """Submit a photo with another vocabulary chosen."""
    page.goto("/")
    page.locator(f"input[value={vocabulary}] + span").click()
    page.set_input_files("#choose", photo)
    page.locator(".result").wait_for()


def export(folder: Path) -> Path:
    """Make a data export in Instagram's layout, with crops of the samples."""
    path = folder / "instagram-export.zip"
    posts = []
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(POSTS):
            photo = PALACE if number % 3 else FLOWER
            taken = datetime(2023, 5, 1, 12, tzinfo=timezone.utc) + timedelta(days=number * 19)
            uri = f"media/posts/{taken:%Y%m}/{number}.jpg"
            archive.writestr(uri, piece(photo, number))
            caption = CAPTIONS[photo][number % 5].encode().decode("latin-1")
            posts.append({"media": [{"uri": uri, "creation_timestamp": int(taken.timestamp()), "title": caption}]})
        archive.writestr("your_instagram_activity/content/posts_1.json", json.dumps(posts))
    return path


def piece(photo: Path, number: int) -> bytes:
    """Crop a square from a photo, different for each number, as a JPEG."""
    side = 300 + number * 53 % 120
    left, top = number * 97 % (640 - side), number * 31 % (427 - side)
    out = io.BytesIO()
    Image.open(photo).crop((left, top, left + side, top + side)).save(out, "JPEG", quality=90)
    return out.getvalue()


@contextmanager
def playing() -> Iterator[tuple[Browser, Path]]:
    """Give a browser and a temporary folder."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="hashtagger-") as folder:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser, Path(folder)
        browser.close()


@contextmanager
def serving(data: Path, *options: str) -> Iterator[str]:
    """Run the real server on a data folder; give its address."""
    command = [sys.executable, "-m", "hashtagger", "serve", "--no-browser", "--port", "0", *options]
    changes = {"HASHTAGGER_DATA_DIR": str(data), "HASHTAGGER_DATABASE_URL": "", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=os.environ | changes, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://[\w.:]+\d", server.stdout.readline())
        if found is None:
            sys.exit("the server did not start")
        yield found[0]
        server.terminate()


def shot(
    browser: Browser, url: str, folder: Path, show: Callable[[Page, Path], None], *, width: int = 1100, **look: str
) -> Image.Image:
    """Open a new browser page, let ``show`` operate it, and take a screenshot."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 860},
        device_scale_factor=2 if width < 800 else 1,
        **{"locale": "ko-KR", "color_scheme": "light"} | look,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.set_default_timeout(300_000)
    show(page, folder)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)  # for CSS transitions and the map's zoom animation
    picture = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return picture


def save(picture: Image.Image, path: Path) -> None:
    """Save a picture as a small WebP file."""
    picture.convert("RGB").save(path, quality=78, method=6)
    print(path)


if __name__ == "__main__":
    main()
