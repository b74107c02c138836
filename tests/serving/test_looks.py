"""Every page at phone and desktop size, dark and light, in both languages: no overflow, and no violations of axe."""

import shutil
import subprocess
import tarfile
from urllib.parse import unquote

import pytest

from .conftest import add, running

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """The source of axe, from its npm package."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm, for axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), AXE]
    if subprocess.run(command, cwd=folder, capture_output=True, timeout=120).returncode:
        pytest.skip("npm cannot fetch axe-core here")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def check(page, axe: str) -> None:
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1], f"{page.url} sticks out at {width}"
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    bad = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
    assert bad == [], page.url


@pytest.mark.usefixtures("sure_of_places")
@pytest.mark.parametrize(
    ("width", "scheme", "locale"), [(360, "light", "ko-KR"), (1440, "dark", "en-US"), (360, "dark", "en-US")]
)
def test_every_page(browse, site, axe, export, sample_photos, tmp_path, width, scheme, locale):
    page = browse("/", width=width, locale=locale, color_scheme=scheme)
    check(page, axe)
    (tmp_path / "글.jpg").write_text("no photo")
    page.set_input_files("#choose", [sample_photos["flower"], tmp_path / "글.jpg"])
    page.locator(".chip[data-heat]").first.wait_for()
    page.locator(".failed").wait_for()
    check(page, axe)
    for vocabulary, shown in (("landmarks_world", ".map path.land"), ("heroes", "meter")):
        page.locator(f"input[value={vocabulary}] + span").click()
        page.set_input_files("#choose", sample_photos["palace"])
        page.locator(shown).first.wait_for()
    check(page, axe)
    page.goto("/library")
    check(page, axe)
    with site.client() as client:
        add(client, export)
        client.send_form("/library/correct", posts=["1"], add="여행")
        client.send_form("/library/sort", destination=str(tmp_path / "out"), by=["date", "tag"])
    for path in ("/library", "/library?q=댕댕이", "/library/posts/2", "/history", "/nothing"):
        page.goto(path)
        if path == "/library":
            page.locator(".tile input").first.check()
        check(page, axe)
    page.goto("/library/sort")
    page.locator("[hx-post$=apply]").wait_for()
    check(page, axe)


def test_account_pages(browse, make_settings, axe):
    with running(make_settings(accounts=True)) as town:
        page = browse("/login", on=town, width=360)
        check(page, axe)
        form = page.locator("form[action='/signup']")
        form.get_by_label("Name").fill("지우")
        form.get_by_label("Password").fill("correct horse battery")
        form.get_by_role("button").click()
        page.locator("#drop").wait_for()
        for path in ("/account", "/library", "/library/sort"):
            page.goto(path)
            check(page, axe)
        page.context.close()


def test_korean_first_and_english_by_the_browser_or_the_switch(browse):
    page = browse("/", locale="fr-FR")
    assert page.locator("html").get_attribute("lang") == "ko"
    page.get_by_role("heading", name="사진에 어울리는 해시태그").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Hashtags for your photos").wait_for()
    page.reload()
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto("/library?q=댕댕이")
    page.get_by_role("button", name="한국어").click()
    page.get_by_role("heading", name="보관함").wait_for()
    assert unquote(page.url).endswith("/library?q=댕댕이")


@pytest.mark.parametrize(("locale", "words"), [("ko-KR", "자바스크립트를 켜야"), ("en-US", "Turn on JavaScript")])
def test_without_scripts_the_pages_say_what_is_missing(browse, locale, words):
    page = browse("/", locale=locale, java_script_enabled=False)
    for path in ("/", "/library", "/library/sort", "/history"):
        page.goto(path)
        said = page.locator("noscript p")  # get_by_text does not look there
        assert said.is_visible(), path
        assert words in said.inner_text()
    assert browse("/", locale=locale).locator("noscript p").count() == 0


def test_the_keyboard_is_enough(browse, sample_photos):
    page = browse("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.name") == "vocabulary":
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.set_input_files("#choose", sample_photos["flower"])
    chip = page.locator("button.chip").first
    chip.wait_for()
    chip.focus()
    page.keyboard.press("Enter")
    assert chip.get_attribute("aria-pressed") == "false"
