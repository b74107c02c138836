import shutil

import pytest

from hashtagger.organize import organize


def test_a_person_browses_the_gallery(album, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        failed = []
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.goto((tmp_path / "sorted" / "index.html").as_uri())
        assert page.locator("#grid a").count() == 13
        assert not page.locator("#more").is_visible()
        page.get_by_text("#꽃").first.click()
        assert 0 < page.locator("#grid a").count() < 13
        assert page.locator("#grid img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        browser.close()
    assert not failed
