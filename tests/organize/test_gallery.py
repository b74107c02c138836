import shutil
import unicodedata

import pytest
from playwright.sync_api import expect, sync_playwright

from hashtagger.organize import organize


@pytest.fixture
def page():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
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
    april = ["2021-4", "2021.04", "2021.4", "2021. 4.", "2021/04", "2021/4/1", "202104", "2021. 4. 1.", "20210401"]
    assert [found(date) for date in april] == [fourth] * len(april)
    assert found("2021.1") == found("2021.04.11") == found("2022.0") == []
    assert found("2022.1") == found("2022.1.1") == [""]
    assert found("#꽃#강아지") == found("#꽃 #강아지") == ["사진 11", "사진 5"]
    # A tag too rare to have a folder is found too.
    assert found("sea_view") == found("boxing 12월 25일") == ["Boxing 올해12월"]
    page.get_by_role("searchbox").fill("")
    assert not page.locator("nav", has_text="Sea_View").count()


def test_what_cannot_be_shown_is_named_in_the_gallery(album, tmp_path, page):
    (album.root / "2/IMG_3.jpg").write_bytes(b"\xff\xd8\xff damaged")
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    expect(page.locator("#grid i")).to_have_count(2)
    assert page.locator("#grid i").all_inner_texts() == ["clip.mp4", "IMG_3 (2).jpg"]
    page.locator("#grid a").first.click()
    page.locator("#stage i", has_text="clip.mp4").wait_for()


def test_the_menu_counts_what_a_click_shows(album, tmp_path, page):
    # A post whose photo is missing counts for its tag's folder, but there is nothing to show.
    album.add("0/gone.jpg", "2021-04-02T08:00:00", "강아지", "집")
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="ko")
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    entries = page.locator("#tags a")
    told = entries.evaluate_all("links => links.map(link => link.textContent)")
    assert told == ["#강아지7", "#꽃4", "#고양이2", "#산책2", "#집2"]
    page.get_by_role("searchbox").fill("사진 11")
    entries.first.click()
    expect(page.locator("#grid a")).to_have_count(7)
    # The click clears the previous search, even if the URL stays the same.
    page.get_by_role("searchbox").fill("사진 11")
    assert page.locator("#grid a").count() == 1
    entries.first.click()
    expect(page.locator("#grid a")).to_have_count(7)
    assert page.get_by_role("searchbox").input_value() == ""


def test_arrow_keys_go_on_from_either_end(album, tmp_path, page):
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    page.locator("#grid a").nth(1).click()
    page.locator("#back").click()
    assert page.locator("#words time").inner_text().startswith("2022")
    page.keyboard.press("ArrowRight")
    assert page.locator("#words p").inner_text() == "사진 11"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert not page.locator("dialog").is_visible()


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_a_phone_shows_how_many_posts_there_are(album, tmp_path, page, lang):
    organize(album, tmp_path / "sorted", tag_untagged=False, lang=lang)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    page.locator("h1 small").evaluate("count => { count.textContent = '12,345'; }")
    count, search = page.locator("h1 small").bounding_box(), page.get_by_role("searchbox").bounding_box()
    room = page.locator("h1").bounding_box()
    assert count["x"] + count["width"] <= room["x"] + room["width"] <= search["x"]
    assert search["x"] + search["width"] <= 360


def test_a_person_browses_the_gallery(album, tmp_path, page):
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="en")
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto((tmp_path / "sorted" / "index.html").as_uri())
    assert page.locator("#grid a").count() == 13
    assert not page.locator("#more").is_visible()
    page.get_by_text("#꽃").first.click()
    expect(page.locator("#grid a")).not_to_have_count(13)
    assert page.locator("#grid a").count() > 0
    page.get_by_role("searchbox").fill("사진 10")
    assert page.locator("#grid a").count() == 1
    page.get_by_role("searchbox").fill("")
    assert page.locator("#grid img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.locator("nav a").first.click()
    expect(page.locator("#grid a")).to_have_count(13)
    page.locator("#grid a").nth(1).click()
    assert page.locator("#words p").inner_text() == "사진 11"
    assert page.get_by_role("link", name="Instagram").get_attribute("href").startswith("https://www.instagram.com/p/")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#words p").inner_text() == "사진 7"
    page.locator(".chips a").first.click()
    # The page is notified of its new URL a moment later.
    page.locator("dialog").wait_for(state="hidden")
    page.locator("nav a[aria-current]", has_text="#").wait_for()
    assert not failed
