import errno
import io
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select

from hashtagger.serving import recommend
from hashtagger.serving.photos import Photos
from hashtagger.serving.store import Recommended
from hashtagger.vocabulary import load_vocabulary

from .conftest import running


@pytest.fixture
def photos(sample_photos, tmp_path):
    """The flower and the palace as files, and two files that are not photos."""
    (tmp_path / "글.jpg").write_text("not a photo")
    (tmp_path / "broken.jpg").write_bytes(sample_photos["flower"].read_bytes()[:5000])
    return {**sample_photos, "text": tmp_path / "글.jpg", "broken": tmp_path / "broken.jpg"}


def test_a_photo_gets_chips_and_is_remembered(client, sample_photos):
    answer = client.ask(sample_photos["flower"])
    assert answer.status_code == 200, answer.text
    assert "#꽃" in answer.text
    assert 'data-tag="꽃"' in answer.text
    (entry,) = client.get("/history/export.json").json()
    assert entry["photo"] == "flower.jpg"
    assert entry["tags"][0]["key"] == "flower"
    assert entry["chosen"][0] == "꽃"
    chips = re.findall(r'aria-pressed="(\w+)" data-tag="([^"]+)"', answer.text)
    assert {tag for pressed, tag in chips if pressed == "true"} == set(entry["chosen"])
    assert all((pressed == "true") == (tag in entry["chosen"]) for pressed, tag in chips)
    assert "Instagram takes 5 hashtags at most." in answer.text
    assert '<button type="button" class="chip taken" data-heat=' in client.get("/history").text
    for path in ("/?entry=1", "/history"):
        assert all(" src=" in image for image in re.findall("<img[^>]*>", client.get(path).text)), path


def test_a_chosen_related_tag_stays_in_sight(client, sample_photos):
    client.ask(sample_photos["flower"])
    (entry,) = client.get("/history/export.json").json()
    other = next(one for one in entry["tags"][1:] if one["related"])
    for chosen, hidden in (([], True), ([other["related"][0]], False), ([other["tag"]], False)):
        client.put("/history/1/chosen", headers={"X-CSRF-Token": client.csrf}, json=chosen)
        (group,) = re.findall(f'<div class="related" data-of="{other["tag"]}"[^>]*>', client.get("/?entry=1").text)
        assert ("hidden" in group) == hidden, chosen


@pytest.mark.parametrize(("name", "words"), [("text", "not a photo"), ("broken", "damaged photo")])
def test_what_is_no_photo_says_so_and_leaves_nothing(client, site, photos, name, words):
    answer = client.ask(photos[name])
    assert answer.status_code == 415
    assert answer.text == f'<p class="error">{words}</p>'
    assert client.get("/history/export.json").json() == []
    assert not [path for path in (site.settings.data_dir / "users").rglob("*") if path.is_file()]


def test_small_copies_are_upright_jpegs(client, sample_photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(sample_photos["flower"]).save(tmp_path / "turned.jpg", exif=exif)
    client.ask(tmp_path / "turned.jpg")
    thumb = client.get("/history/1/photo/thumb")
    assert thumb.headers["content-type"] == "image/jpeg"
    width, height = Image.open(io.BytesIO(thumb.content)).size
    assert height > width
    assert max(width, height) == 480


def test_heat_map_is_a_clear_picture_of_the_photos_shape(client, sample_photos):
    client.ask(sample_photos["flower"])
    answer = client.get("/history/1/heat/flower")
    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.mode == "RGBA"
    assert picture.width / picture.height == pytest.approx(640 / 427, rel=0.01)
    assert picture.getchannel("A").getextrema()[1] > 0
    assert client.get("/history/1/heat/nothing").status_code == 404


def test_taken_tags_are_remembered_cleaned(client, sample_photos):
    client.ask(sample_photos["flower"])
    headers = {"X-CSRF-Token": client.csrf}
    put = client.put("/history/1/chosen", headers=headers, json=["#꽃", " 봄 ", "꽃", ""])
    assert put.status_code == 204
    assert client.get("/history/export.json").json()[0]["chosen"] == ["꽃", "봄"]
    assert client.put("/history/1/chosen", headers=headers, json=["x"] * 30).status_code == 204
    assert client.put("/history/1/chosen", headers=headers, json=["x"] * 31).status_code == 422
    assert client.put("/history/1/chosen", headers=headers, json="x").status_code == 422


def test_deleting_takes_the_photo_with_its_last_entry(client, site, sample_photos):
    for name in ("flower", "flower", "palace"):
        client.ask(sample_photos[name])
    kept = lambda: [path.name for path in (site.settings.data_dir / "users/1/photos").rglob("*.jpg")]  # noqa: E731
    assert len(kept()) == 2
    headers = {"X-CSRF-Token": client.csrf}
    assert client.post("/history/1/delete", headers=headers).status_code == 200
    assert len(kept()) == 2
    client.post("/history/2/delete", headers=headers)
    assert len(kept()) == 1
    client.post("/history/delete", headers=headers)
    assert kept() == []
    assert client.get("/history/export.json").json() == []
    assert client.get("/history/3/photo/thumb").status_code == 404


@pytest.mark.parametrize("found", [True, False])
def test_deleted_while_it_is_looked_at_it_is_gone(client, site, sample_photos, monkeypatch, found):
    headers = {"X-CSRF-Token": client.csrf}
    recommend_file = recommend.recommend_file

    def delete_first(services, path, *rest):
        tags = recommend_file(services, path, *rest) if found else []
        client.post("/history/delete", headers=headers)
        return tags or recommend_file(services, path, *rest)

    monkeypatch.setattr(recommend, "recommend_file", delete_first)
    assert client.ask(sample_photos["flower"]).status_code == (404 if found else 415)
    assert client.get("/history/export.json").json() == []
    assert not list((site.settings.data_dir / "users/1/photos").rglob("*.jpg"))


def test_tags_that_cannot_be_saved_leave_no_entry(client, site, sample_photos, monkeypatch):
    client.csrf  # noqa: B018
    monkeypatch.setattr(recommend, "as_tags", lambda found: [SimpleNamespace(model_dump=object)])
    assert client.ask(sample_photos["flower"]).status_code == 500
    assert client.get("/history/export.json").json() == []
    assert not [path for path in (site.settings.data_dir / "users").rglob("*") if path.is_file()]


def test_deleted_while_it_is_made_smaller_it_leaves_no_copy(client, site, sample_photos, monkeypatch):
    from hashtagger.serving import photos

    client.ask(sample_photos["flower"])
    headers, decode = {"X-CSRF-Token": client.csrf}, photos.decode

    def delete_meanwhile(*args, **options):
        image = decode(*args, **options)
        client.post("/history/delete", headers=headers)
        return image

    monkeypatch.setattr(photos, "decode", delete_meanwhile)
    assert client.get("/history/1/photo/large").status_code == 415
    assert not [path for path in (site.settings.data_dir / "users").rglob("*") if path.is_file()]


def test_a_full_drive_leaves_no_piece_of_a_smaller_copy(sample_photos, tmp_path, monkeypatch):
    photos = Photos(tmp_path, 1)
    with sample_photos["flower"].open("rb") as stream:
        kept = photos.keep(stream, 1 << 20)

    def fill(image, file, **options):
        Path(file).write_bytes(b"a piece")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(Image.Image, "save", fill)
        with pytest.raises(OSError, match="space"):
            photos.smaller(kept.digest, kept.suffix, "thumb")
    assert [path.name for path in tmp_path.rglob("*.jpg")] == [f"{kept.digest}.jpg"]
    photos.smaller(kept.digest, kept.suffix, "thumb")
    assert len(list(tmp_path.rglob("*.jpg"))) == 2


@pytest.mark.parametrize("where", ["hashtagger.serving.photos.os.fsync", "tempfile.SpooledTemporaryFile.rollover"])
def test_a_full_drive_is_told_and_leaves_nothing(client, site, tmp_path, monkeypatch, where):
    def fill(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Image.effect_noise((1200, 1200), 100).save(tmp_path / "large.jpg", quality=100)  # too large to stay in memory
    client.csrf  # noqa: B018
    with monkeypatch.context() as full:
        full.setattr(where, fill)
        answer = client.ask(tmp_path / "large.jpg")
    assert (answer.status_code, answer.text) == (507, '<p class="error">no space left</p>')
    assert client.get("/history/export.json").json() == []
    assert not [path for path in (site.settings.data_dir / "users").rglob("*") if path.is_file()]
    assert client.ask(tmp_path / "large.jpg").status_code == 200


def test_photos_that_are_made_smaller_keep_no_page_waiting(client, sample_photos, monkeypatch):
    from hashtagger.serving import photos

    client.ask(sample_photos["flower"])
    go, decode, begun = threading.Event(), photos.decode, threading.Semaphore(0)

    def wait(*args, **options):
        begun.release()
        go.wait(60)
        return decode(*args, **options)

    monkeypatch.setattr(photos, "decode", wait)
    with ThreadPoolExecutor(60) as crowd:
        asked = [crowd.submit(client.get, "/history/1/photo/thumb") for _number in range(60)]
        try:
            for _number in range(12):
                assert begun.acquire(timeout=60)
            begun.acquire(timeout=1)  # no more than that may start at once
            assert client.get("/api/health", timeout=20).status_code == 200
        finally:
            go.set()
        assert {one.result().status_code for one in asked} == {200}


def test_a_network_that_is_loaded_keeps_no_other_waiting(monkeypatch):
    from hashtagger.serving.engine import Engine

    loading, go = threading.Event(), threading.Event()

    def load(name):
        if name == "heroes":
            loading.set()
            go.wait(60)
        return name

    monkeypatch.setattr("hashtagger.serving.engine.Recommender", load)
    engine = Engine()
    engine.recommender("hashtags_ko")
    with ThreadPoolExecutor(2) as crowd:
        slow = crowd.submit(engine.recommender, "heroes")
        try:
            assert loading.wait(60)
            assert crowd.submit(engine.recommender, "hashtags_ko").result(timeout=20) == "hashtags_ko"
        finally:
            go.set()
        assert slow.result() == "heroes"
    engine.close()


def test_a_photo_deleted_while_it_comes_again_is_kept(client, site, sample_photos, monkeypatch):
    habits = site.app.state.services.habits
    client.ask(sample_photos["flower"])
    headers = {"X-CSRF-Token": client.csrf}
    monkeypatch.setattr(type(habits), "of", lambda *_: client.post("/history/1/delete", headers=headers) and None)
    assert client.ask(sample_photos["flower"]).status_code == 200
    assert len(list((site.settings.data_dir / "users/1/photos").rglob("*.jpg"))) == 1


def test_another_photo_has_another_address(client, sample_photos):
    def addresses(photo):
        client.ask(photo)
        text = client.get("/history").text
        return {re.sub(r"/history/\d+", "", one) for one in re.findall(r'"(/history/\d+/(?:photo|heat)/[^"]+)"', text)}

    flower = addresses(sample_photos["flower"])
    client.send_form("/history/delete")
    palace = addresses(sample_photos["palace"])
    assert flower
    assert palace
    assert not {one for one in flower & palace if "photo" in one}
    assert all("?v=" in one for one in flower | palace)


def test_a_crowd_at_once(client, sample_photos, tmp_path):
    Image.open(sample_photos["flower"]).resize((64, 64)).save(tmp_path / "small.jpg")
    photo = {"file": ("small.jpg", (tmp_path / "small.jpg").read_bytes())}
    headers = {"X-CSRF-Token": client.csrf}
    with ThreadPoolExecutor(50) as crowd:
        asked = [crowd.submit(client.post, "/recommend", headers=headers, files=photo) for _number in range(50)]
        assert {one.result().status_code for one in asked} == {200}
    assert len(client.get("/history/export.json").json()) == 50


def test_history_in_pages(client, site, sample_photos):
    client.ask(sample_photos["flower"])
    with site.app.state.services.sessions.begin() as db:
        (entry,) = db.scalars(select(Recommended))
        copied = {name: getattr(entry, name) for name in ("user_id", "name", "digest", "suffix", "vocabulary")}
        db.add_all(Recommended(**copied) for _number in range(249))
    first = client.get("/history").text
    assert first.count('<article class="card"') == 48
    assert "/history?before=203" in first
    assert client.get("/history?before=3").text.count('<article class="card"') == 2
    assert len(client.get("/history/export.json").json()) == 250


class TestOtherVocabularies:
    def test_a_switch_offers_what_there_are_weights_for(self, client):
        assert re.findall(r'type="radio" name="vocabulary" value="(\w+)"', client.get("/").text)[0] == "hashtags_ko"
        assert {"heroes", "landmarks_world"} <= set(client.get("/api/health").json()["vocabularies"])
        for asked, switched in (("heroes", "heroes"), ("nothing", "hashtags_ko")):
            text = client.get("/", params={"vocabulary": asked}).text
            assert re.findall(r'value="(\w+)" checked', text) == [switched]

    def test_heroes_are_all_compared(self, client, sample_photos):
        from hashtagger.models.find import find_weights
        from hashtagger.models.weights import read_config

        text = client.ask(sample_photos["flower"], "heroes").text
        known = read_config(find_weights("heroes")).keys
        assert text.count("<meter") == len(known)
        labels = load_vocabulary("heroes")
        unknown = " ".join(f"#{label.tag}" for label in labels if label.key not in known)
        assert ("Not known to these weights: " + unknown in text) == bool(unknown)
        assert "A soldier with a round shield" in text

    def test_only_what_it_is_sure_of_is_taken(self, client, sample_photos):
        for name in ("heroes", "landmarks_world"):
            client.ask(sample_photos["palace"], name)
        from hashtagger.models.find import find_weights
        from hashtagger.models.weights import read_config

        for entry in client.get("/history/export.json").json():
            sure = read_config(find_weights(entry["vocabulary"])).threshold
            assert entry["chosen"] == [one["tag"] for one in entry["tags"] if one["score"] >= sure]

    def test_landmarks_say_where_they_are(self, client, sample_photos, sure_of_places):
        text = client.ask(sample_photos["palace"], "landmarks_world").text
        assert "https://www.openstreetmap.org/?mlat=" in text
        assert "https://map.naver.com/" in text
        assert re.search(r'<h3>\w+ <small lang="en">[\w ]+</small></h3>', text)
        assert 'class="map"' in text
        assert "Show streets" not in text
        assert 'class="map"' in client.get("/?entry=1").text

    def test_a_landmark_that_it_is_not_sure_of_is_a_guess_alone(self, client, sample_photos):
        text = client.ask(sample_photos["flower"], "landmarks_world").text
        assert "It is not sure of this one." in text
        assert 'class="place"' not in text + client.get("/?entry=1").text
        assert "openstreetmap" not in text

    def test_unknown_ones_are_refused(self, client, sample_photos):
        assert client.ask(sample_photos["flower"], "../../x").status_code == 422


def wait_until_loaded(image):
    """Wait for a picture to load; the page's security policy forbids Playwright's ``wait_for_function``."""
    image.evaluate("image => image.complete && image.naturalWidth || new Promise(done => { image.onload = done; })")
    assert image.evaluate("image => image.naturalWidth") > 0


TILES = "https://tiles.example"


@pytest.mark.usefixtures("sure_of_places")
class TestMap:
    """A map makes no request to another server; the fixture ``browse`` fails the test otherwise."""

    def find(self, page, photo):
        page.get_by_text("Landmarks", exact=True).click()
        page.set_input_files("#choose", photo)
        page.locator(".map .pin").wait_for()
        return page.locator(".map")

    def test_it_is_drawn_without_the_network(self, browse, photos):
        page = browse("/")
        box = self.find(page, photos["palace"])
        assert box.locator(".leaflet-tooltip").inner_text() == page.locator(".place h3").evaluate(
            "title => title.firstChild.textContent.trim()"
        )
        drawn = box.locator("path.land").get_attribute("d")
        assert len(drawn) > 1000, "coastlines"
        # The pin is in the middle of the map.
        middle, pin = (one.bounding_box() for one in (box, box.locator(".pin")))
        for side, start in (("width", "x"), ("height", "y")):
            assert pin[start] + pin[side] / 2 == pytest.approx(middle[start] + middle[side] / 2, abs=3)
        box.get_by_role("button", name="Zoom in").click()
        expect(box.locator("path.land")).not_to_have_attribute("d", drawn)

    def test_streets_are_asked_for_only_once_a_person_says_so(self, browse, make_settings, photos):
        tile = io.BytesIO()
        Image.new("RGB", (256, 256), "#cde").save(tile, "PNG")
        asked = []

        def answer(route):
            asked.append(route.request.url)
            headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
            route.fulfill(body=tile.getvalue(), content_type="image/png", headers=headers)

        with running(make_settings(tiles=TILES + "/{z}/{x}/{y}.png")) as site:
            page = browse("/", on=site, asks=TILES)
            page.route(f"{TILES}/**", answer)
            box = self.find(page, photos["palace"])
            assert asked == []
            page.get_by_role("button", name="Show streets (asks tiles.example)").click()
            box.locator(".leaflet-tile-loaded").first.wait_for()
            assert re.fullmatch(TILES + r"/15/\d+/\d+\.png", asked[0])
            box.get_by_role("link", name="OpenStreetMap").wait_for()
            page.context.close()


class TestBrowser:
    def test_choose_toggle_and_copy(self, browse, photos):
        page = browse("/")
        page.set_input_files("#choose", [photos["palace"], photos["text"], photos["flower"]])
        flower = page.locator(".card", has_text="flower.jpg")
        chip = flower.locator(".chip[data-heat]").first
        chip.wait_for()
        page.locator(".card.failed", has_text="글.jpg: not a photo").wait_for()
        assert page.locator(".failed").count() == 1
        assert flower.locator(".preview").evaluate("image => image.naturalWidth") == 640
        assert chip.get_attribute("aria-pressed") == "true"
        beside = flower.locator(".small .chip").first
        word = beside.get_attribute("data-tag")
        before = int(flower.locator(".count").inner_text())
        beside.click()
        assert int(flower.locator(".count").inner_text()) == before + 1
        with page.expect_response(lambda response: response.url.endswith("/chosen")) as saved:
            chip.press("Space")
        assert saved.value.status == 204
        flower.locator(".copy").click()
        page.locator("#toast.shown").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()").split(" ")
        assert f"#{word}" in copied
        assert "#" + chip.get_attribute("data-tag") not in copied
        assert len(copied) == before

    def test_not_more_than_five(self, browse, photos):
        page = browse("/")
        page.set_input_files("#choose", photos["flower"])
        page.locator(".result").wait_for()
        page.evaluate(
            """() => { const list = document.querySelector(".chips");
            for (let i = 0; i < 40; i++) { const one = list.lastElementChild.cloneNode(true);
              one.firstElementChild.dataset.tag = "t" + i; one.firstElementChild.setAttribute("aria-pressed", "false");
              list.append(one); } }"""
        )
        page.evaluate("document.querySelectorAll('.chip[aria-pressed=false]').forEach(chip => chip.click())")
        assert page.locator(".count").inner_text() == "5"
        page.locator("#toast.bad", has_text="Instagram takes 5").wait_for()

    def test_paste_and_drop(self, browse, photos):
        page = browse("/")
        for kind, target in (("paste", "document"), ("drop", "document.getElementById('drop')")):
            page.evaluate(
                f"""async bytes => {{
                const box = new DataTransfer();
                box.items.add(new File([new Uint8Array(bytes)], "{kind}.jpg", {{type: "image/jpeg"}}));
                const options = {{bubbles: true, cancelable: true}};
                {target}.dispatchEvent("{kind}" === "paste"
                    ? new ClipboardEvent("paste", {{...options, clipboardData: box}})
                    : new DragEvent("drop", {{...options, dataTransfer: box}})); }}""",
                list(photos["flower"].read_bytes()),
            )
            page.locator(".card", has_text=f"{kind}.jpg").locator(".chip[data-heat]").first.wait_for()

    def test_heat_map_on_hover_and_on_focus(self, browse, photos):
        page = browse("/")
        page.set_input_files("#choose", photos["flower"])
        chip = page.locator(".chip[data-heat]").first
        chip.wait_for()
        heat = page.locator(".heat")
        assert heat.is_hidden()
        for show in (chip.hover, chip.focus):
            show()
            heat.wait_for(state="visible")
            wait_until_loaded(heat)
            page.mouse.move(0, 0)
            chip.evaluate("chip => chip.blur()")
            heat.wait_for(state="hidden")

    def test_heat_map_on_a_tap(self, browse, photos):
        page = browse("/", width=390, has_touch=True, is_mobile=True)
        page.set_input_files("#choose", photos["flower"])
        chip = page.locator(".chip[data-heat]").first
        chip.tap()
        assert chip.get_attribute("aria-pressed") == "false"
        assert page.locator(".heat").is_hidden()
        page.get_by_role("button", name="Show where in the photo: #꽃").tap()
        page.locator(".heat").wait_for(state="visible")
        wait_until_loaded(page.locator(".heat"))
        assert chip.get_attribute("aria-pressed") == "false"
        page.locator(".hint").first.tap()
        page.locator(".heat").wait_for(state="hidden")

    def test_with_no_tag_chosen_there_is_nothing_to_copy(self, browse, photos):
        page = browse("/")
        page.set_input_files("#choose", photos["flower"])
        page.locator(".copy:enabled").wait_for()
        while page.locator(".chip[aria-pressed=true]").count():
            page.locator(".chip[aria-pressed=true]").first.click()
        assert page.locator(".copy").is_disabled()
        page.locator(".chip[data-heat]").first.click()
        assert page.locator(".copy").is_enabled()

    def test_what_failed_is_asked_again(self, browse, photos):
        page = browse("/")
        page.route("**/recommend", lambda route: route.abort())
        page.set_input_files("#choose", photos["flower"])
        page.locator(".failed", has_text="does not answer").wait_for()
        page.unroute("**/recommend")
        page.get_by_role("button", name="Try again").click()
        page.locator(".chip[data-heat]").first.wait_for()
        assert page.locator(".failed, .again:visible").count() == 0

    def test_a_tag_taken_right_before_leaving_is_remembered(self, browse, site, photos):
        page = browse("/")
        page.set_input_files("#choose", photos["flower"])
        chip = page.locator(".chip[data-heat]").first
        assert chip.get_attribute("aria-pressed") == "true"
        with site.app.state.services.sessions() as db:
            before = db.get(Recommended, 1).chosen
        chip.click()
        page.goto("/history")
        for _tick in range(100):
            with site.app.state.services.sessions() as db:
                if db.get(Recommended, 1).chosen != before:
                    return
            page.wait_for_timeout(50)
        raise AssertionError(before)

    def test_the_address_brings_recommendations_back(self, browse, photos):
        page = browse("/")
        for name in ("flower", "palace"):
            page.set_input_files("#choose", photos[name])
            page.locator(".card", has_text=photos[name].name).locator(".result").wait_for()
        chip = page.locator(".card", has_text="flower.jpg").locator(".chip[data-heat]").first
        with page.expect_response("**/chosen"):
            chip.click()
        page.get_by_text("Heroes", exact=True).click()
        page.reload()
        assert page.get_by_label("Heroes").is_checked()
        assert page.locator(".card .name").all_inner_texts() == ["china.jpg", "flower.jpg"]
        assert chip.get_attribute("aria-pressed") == "false"
        page.get_by_role("button", name="한국어").click()
        page.locator("html[lang=ko]").wait_for()
        assert page.locator(".card").count() == 2
        page.goto("/history")
        page.get_by_role("link", name="flower.jpg").click()
        wait_until_loaded(page.locator(".preview"))
        assert page.locator(".card .name").all_inner_texts() == ["flower.jpg"]

    def test_a_toggled_chip_brings_its_related_tags(self, browse, photos):
        page = browse("/")
        page.set_input_files("#choose", photos["flower"])
        chip = page.locator(".chip[data-heat][aria-pressed=false]").last
        group = page.locator(f".related[data-of='{chip.get_attribute('data-tag')}']")
        chip = page.locator(f".chip[data-heat][data-tag='{chip.get_attribute('data-tag')}']")
        assert group.is_hidden()
        chip.click()
        group.wait_for(state="visible")
        chip.click()
        group.wait_for(state="hidden")
        chip.click()
        group.locator(".chip").first.click()
        chip.click()
        assert group.is_visible(), "one of them is taken"

    def test_a_photo_that_browsers_do_not_show_is_shown_all_the_same(self, browse, photos, tmp_path):
        pytest.importorskip("pillow_heif", reason="needs hashtagger[heic]").register_heif_opener()
        Image.open(photos["flower"]).save(tmp_path / "phone.heic")
        page = browse("/")
        page.set_input_files("#choose", tmp_path / "phone.heic")
        page.locator(".result").wait_for()
        wait_until_loaded(page.locator(".preview"))
        assert "/photo/large" in page.locator(".preview").get_attribute("src")

    def test_history_copies_and_deletes(self, browse, site, sample_photos):
        with site.client() as client:
            client.ask(sample_photos["flower"])
            client.ask(sample_photos["palace"])
        page = browse("/history")
        flower = page.locator(".card", has_text="flower.jpg")
        flower.locator(".copy").click()
        page.locator("#toast.shown").wait_for()
        assert "#꽃" in page.evaluate("navigator.clipboard.readText()")
        flower.get_by_role("button", name="Delete").click()
        flower.wait_for(state="detached")
        assert page.locator(".card").count() == 1
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as JSON").click()
        (entry,) = json.loads(download.value.path().read_text("utf-8"))
        assert entry["photo"] == "china.jpg"
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete all").click()
        page.get_by_role("link", name="Recommend for a photo").wait_for()
