"""Pictures of the web page's pages, taken of the real thing: python docs/screenshots.py OUT [--photos FOLDER].

It serves a library of the photos in FOLDER (scikit-learn's two samples by default) out of a temporary data
folder, and saves each page at phone and desk size, in Korean and English, light and dark.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from hashtagger.images import find_photos

LOOKS = (("ko-KR", "light", 1280), ("ko-KR", "light", 390), ("en-US", "dark", 1280))


def main() -> None:
    """Serve, look, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, help="folder of photos to show")
    arguments = parser.parse_args()
    photos = find_photos(arguments.photos or _samples())
    if not photos:
        sys.exit(f"{arguments.photos}: no photos")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="hashtagger-") as folder:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        source = Path(folder, "photos")
        source.mkdir()
        for number, photo in enumerate(photos):
            shutil.copy(photo, source / f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d} {photo.name}")
        with _serving(Path(folder, "data")) as url:
            for number, (locale, scheme, width) in enumerate(LOOKS):
                page = _open(browser, url, locale, scheme, width)
                _take(page, arguments.out, f"{locale[:2]}-{scheme}-{width}", photos[:2], source, first=not number)
        with _serving(Path(folder, "town"), "--accounts") as url:
            page = _open(browser, url, *LOOKS[0])
            page.goto("/login")
            page.screenshot(path=arguments.out / "login-ko-light-1280.png")
        browser.close()


def _samples() -> Path:
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "images"


@contextmanager
def _serving(data: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "hashtagger", "serve", "--no-browser", "--port", "0", *options]
    environment = {
        **os.environ,
        "HASHTAGGER_DATA_DIR": str(data),
        "HASHTAGGER_DATABASE_URL": "",
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://[\w.:]+\d", server.stdout.readline())
        assert found is not None, "the server did not start"
        yield found[0]
        server.terminate()


def _open(browser: Browser, url: str, locale: str, scheme: str, width: int) -> Page:
    context = browser.new_context(
        base_url=url,
        locale=locale,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 844},
        device_scale_factor=2 if width < 800 else 1,
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    return page


def _take(page: Page, out: Path, look: str, photos: list[Path], source: Path, *, first: bool) -> None:
    def save(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out / f"{name}-{look}.png")

    page.goto("/")
    page.set_input_files("#choose", photos)
    page.locator(".result").nth(len(photos) - 1).wait_for()
    chip = page.locator(".chip[data-heat]")
    if chip.count():
        chip.first.hover()
    save("recommend")
    page.goto("/library")
    if first:
        page.locator("#path").fill(str(source))
        page.locator("form[action='/library/imports'] button").click()
        page.locator(".import.done").wait_for()
        page.locator("[hx-post$=dismiss]").click()
    page.goto("/library")
    page.locator(".tile").first.wait_for()
    save("library")
    page.locator(".tile a").first.click()
    page.locator(".large").wait_for()
    save("post")
    page.goto("/history")
    save("history")
    page.goto("/library/sort")
    if first:
        page.locator("#destination").fill(str(source.with_name("sorted")))
        page.locator("form.sort button").click()
    page.locator("[hx-post$=apply]").wait_for()
    save("sort")


if __name__ == "__main__":
    main()
