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
        page.wait_for_function("document.querySelectorAll('#grid a').length < 13")
        assert page.locator("#grid a").count() > 0
        page.get_by_role("searchbox").fill("사진 10")
        assert page.locator("#grid a").count() == 1
        page.get_by_role("searchbox").fill("")
        assert page.locator("#grid img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        page.locator("nav a").first.click()
        page.wait_for_function("document.querySelectorAll('#grid a').length == 13")
        page.locator("#grid a").nth(1).click()
        assert page.locator("#words p").inner_text() == "사진 11"
        assert (
            page.get_by_role("link", name="Instagram").get_attribute("href").startswith("https://www.instagram.com/p/")
        )
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.locator("#words p").inner_text() == "사진 7"
        page.locator(".chips a").first.click()
        # The page hears of its new address a moment later.
        page.locator("dialog").wait_for(state="hidden")
        page.locator("nav a[aria-current]", has_text="#").wait_for()
        browser.close()
    assert not failed
