import shutil
import unicodedata

import pytest

from hashtagger.organize import organize


@pytest.fixture
def page():
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_a_person_searches_the_gallery(album, tmp_path, page):
    album.add("0/IMG_0.jpg", "2019-12-25T08:00:00", "Sea_View", caption="Boxing 올해12월")
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="ko")
    page.goto((tmp_path / "sorted" / "index.html").as_uri())

    def found(words):
        page.get_by_role("searchbox").fill(words)
        return sorted(page.locator("#grid a").evaluate_all("links => links.map(link => link.title)"))

    fourth = sorted(f"사진 {number}" for number in range(0, 12, 2))
    assert found("2021-04") == found("2021년 4월") == found("2021년4월") == found(" 4월  2021") == fourth
    assert found("2월") == []
    assert found("2021-04 강아지") == found("#강아지 4월") == ["사진 0", "사진 6"]
    assert found("10 사진") == found(unicodedata.normalize("NFD", "사진 10")) == ["사진 10"]
    assert found("clip.MP4") == [""]
    # A tag too rare for a folder is found too.
    assert found("sea_view") == found("boxing 12월 25일") == ["Boxing 올해12월"]
    page.get_by_role("searchbox").fill("")
    assert not page.locator("nav", has_text="Sea_View").count()


def test_what_cannot_be_shown_is_named_in_the_gallery(album, tmp_path, page):
    (album.root / "2/IMG_3.jpg").write_bytes(b"\xff\xd8\xff damaged")
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    page.wait_for_function("document.querySelectorAll('#grid i').length == 2")
    assert page.locator("#grid i").all_inner_texts() == ["clip.mp4", "IMG_3 (2).jpg"]
    page.locator("#grid a").first.click()
    page.locator("#stage i", has_text="clip.mp4").wait_for()


def test_a_person_browses_the_gallery(album, tmp_path, page):
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
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
    assert page.get_by_role("link", name="Instagram").get_attribute("href").startswith("https://www.instagram.com/p/")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#words p").inner_text() == "사진 7"
    page.locator(".chips a").first.click()
    # The page hears of its new address a moment later.
    page.locator("dialog").wait_for(state="hidden")
    page.locator("nav a[aria-current]", has_text="#").wait_for()
    assert not failed
