import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from click.testing import CliRunner
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select, text

from hashtagger.cli import group
from hashtagger.serving.store import Import, Media, Post, PostTag

from .conftest import Client, add, cut, posts_at, running, wait_for_imports


def test_an_export_is_browsed_and_searched(client, export):
    assert "posts: 5, new ones: 5" in add(client, export)
    text = client.get("/library").text
    found = [
        (tag, int(n)) for tag, n in re.findall(r'href="/library\?(?:tag|other)[^"]*" *>([^<]+?) <small>(\d+)', text)
    ]
    assert found == [("#강아지", 2), ("#고양이", 2), ("Others", 1)]
    assert posts_at(client, month="2021") == [3, 2, 1]
    assert posts_at(client, month="2021-04") == [2, 1]
    assert posts_at(client, tag="고양이") == [4, 3]
    assert posts_at(client, other="1") == [5]
    for variant in ("댕댕이", "#멍멍이", "puppy", "멍스타그램", "강아쥐", "rkddkwl", "강아"):
        assert posts_at(client, q=variant) == [2, 1], variant
    assert posts_at(client, q="아무도") == [5]
    assert posts_at(client, q="세상에없는말") == []
    for both in ("댕댕이 카페", "카페 #댕댕이", "#댕댕이#카페", "2021-04 카페", "2021.4, 카페", "카페 2021년 4월"):
        assert posts_at(client, q=both) == [1], both
    assert posts_at(client, q="2021년") == posts_at(client, q="2021") == [3, 2, 1]
    assert posts_at(client, q="고양이 4월") == posts_at(client, q="#!!!") == []
    assert "“댕댕이 카페” means #강아지 #카페" in client.get("/library", params={"q": "댕댕이 카페"}).text
    assert client.get("/library", params={"month": "2021-04' OR 1=1"}).status_code == 422


def test_a_day_is_searched_for_as_it_is_in_seoul(client, site, export):
    add(client, export)
    with site.app.state.services.sessions.begin() as db:
        db.get(Post, 2).taken_at = datetime(2021, 4, 1, 15, 0, tzinfo=timezone.utc)
        db.get(Post, 1).taken_at = datetime(2021, 4, 1, 14, 59, tzinfo=timezone.utc)
    for day in ("2021-04-02", "2021.4.2", "2021. 4. 2.", "2021/04/02", "2021년 4월 2일", "강아지, 2021년4월2일"):
        assert posts_at(client, q=day) == [2], day
    for typed in (unicodedata.normalize("NFD", "2021년 4월 2일"), "２０２１년 ４월 ２일", "２０２１．４．２．"):
        assert posts_at(client, q=typed) == [2], typed
    assert posts_at(client, q="2021-04-01") == posts_at(client, q="2021. 4. 1. #카페") == [1]
    with site.app.state.services.sessions.begin() as db:
        db.get(Post, 5).taken_at = datetime(2020, 2, 29, 14, 59, tzinfo=timezone.utc)
        db.get(Post, 5).month = "2020-02"
        db.get(Post, 4).taken_at = datetime(2019, 4, 2, tzinfo=timezone.utc)
        db.get(Post, 4).month = "2019-04"
    assert posts_at(client, q="4월 2일") == posts_at(client, q="04월02일") == [2, 4]
    assert posts_at(client, q="4월 2일 강아지") == [2]
    assert posts_at(client, q="2월 29일") == [5]
    for none in (
        "4월 31일",
        "4월 2일 카페",
        "13월 1일",
        "2021-04-03",
        "2021-02-30",
        "2021-13-01",
        "2021년 4월 2일 카페",
        "1999-12-31",
    ):
        assert posts_at(client, q=none) == [], none


def test_adding_the_same_again_adds_nothing(client, export):
    add(client, export)
    assert "posts: 5, new ones: 0" in add(client, export)
    assert len(posts_at(client)) == 5


def test_an_import_that_went_well_is_shown_for_a_day(client, site, export):
    add(client, export)
    with site.app.state.services.sessions.begin() as db:
        db.get(Import, 1).at -= timedelta(hours=25)
    assert "import-1" not in client.get("/library").text
    with site.app.state.services.sessions.begin() as db:
        db.get(Import, 1).state = "failed"
    assert "import-1" in client.get("/library").text


def test_a_post_shows_its_photo_and_words(client, export):
    add(client, export)
    text = client.get("/library/posts/1").text
    assert "우리 #댕댕이 와 #카페" in text
    assert "2021-04-01 12:00" in text
    (media,) = re.findall(r'src="(/library/media/\d+/large\?v=\w+)"', text)
    picture = Image.open(io.BytesIO(client.get(media).content))
    assert picture.size == (200, 160)
    assert 'href="/library/posts/2"' in text
    for path in ("/library/posts/99", "/library/posts/0", "/library/media/99/thumb", f"/library/posts/{1 << 40}"):
        assert client.get(path).status_code == 404
        assert "there is nothing here" in client.get(path).text


def test_a_found_post_leads_on_and_back_among_those_it_was_found_with(client, export):
    add(client, export)
    text = client.get("/library/posts/3", params={"q": "고양이"}).text
    assert 'id="newer" rel="prev" href="/library/posts/4?q=%EA%B3%A0%EC%96%91%EC%9D%B4"' in text
    assert 'id="older"' not in text
    assert 'href="/library?q=%EA%B3%A0%EC%96%91%EC%9D%B4#post-3"' in text
    answer = client.send_form("/library/correct", posts=[3], add="봄", back="/library/posts/3?q=고양이")
    assert answer.headers["location"] == "/library/posts/3?q=%EA%B3%A0%EC%96%91%EC%9D%B4"


def test_tags_are_corrected_and_the_correction_is_remembered(client, export):
    add(client, export)
    answer = client.send_form(
        "/library/correct", posts=[1, 2], add="#고양이 여행,2024", remove="댕댕이", back="//evil.example"
    )
    assert answer.headers["location"] == "/library"
    assert "Posts with corrected tags: 2" in client.get("/library").text
    assert "Posts with corrected tags" not in client.get("/library").text
    assert posts_at(client, tag="강아지") == []
    assert posts_at(client, tag="고양이") == [4, 3, 2, 1]
    assert posts_at(client, q="여행스타그램") == [2, 1]
    assert "#강아지 #카페 → #카페 #고양이 #여행 #2024" in client.get("/history").text
    client.send_form("/library/correct", posts=[1], add="고양이 #!!!")
    assert "No tag has changed." in client.get("/library").text
    assert client.get("/history").text.count('href="/library/posts/1"') == 1


def test_one_of_the_tags_that_a_word_means_is_removed_for_good(client, export):
    add(client, export)
    client.send_form("/library/correct", posts=[5], add="강아지여행")
    tags = lambda: re.findall(r'<span lang="ko">#(\w+)</span></a>', client.get("/library/posts/5").text)  # noqa: E731
    assert tags() == ["아무도모르는말", "여행", "강아지"]
    client.send_form("/library/correct", posts=[5], remove="강아지")
    assert tags() == ["아무도모르는말", "여행"]
    client.send_form("/library/correct", posts=[5], add="카페")
    assert tags() == ["아무도모르는말", "여행", "카페"]
    assert 5 not in posts_at(client, q="강아지")


def test_corrections_shift_what_is_recommended_later(client, export, sample_photos):
    """The same photo gets another score after its owner's posts are corrected."""

    def ask() -> dict:
        client.ask(sample_photos["flower"])
        entry = client.get("/history/export.json").json()[-1]
        return next(tag for tag in entry["tags"] if tag["key"] == "flower")

    before = ask()
    add(client, export)
    assert ask()["score"] < before["score"], "they post dogs and cats"
    client.send_form(
        "/library/correct", posts=[1, 2, 3, 4, 5], add="꽃스타그램 우리집마당", remove="강아지 고양이 카페"
    )
    after = ask()
    assert after["score"] > before["score"]
    assert "우리집마당" in after["related"]
    assert "우리집마당" not in before["related"]


def test_corrections_at_once_give_each_tag_once(client, site, export):
    add(client, export)
    form = {"csrf": client.csrf, "posts": [1, 2, 3, 4, 5], "add": "하나 둘 셋"}
    with ThreadPoolExecutor(4) as crowd:
        asked = [crowd.submit(client.post, "/library/correct", data=form) for _number in range(4)]
        assert {one.result().status_code for one in asked} == {303}
    with site.app.state.services.sessions() as db:
        tags = db.scalars(select(PostTag.tag).where(PostTag.post_id == 1)).all()
        assert sorted(tags) == sorted({"강아지", "카페", "하나", "둘", "셋"})
    assert client.get("/history").text.count('href="/library/posts/1"') == 1


def test_a_photo_deleted_from_the_history_while_it_is_imported_stays_in_the_library(
    client, site, sample_photos, tmp_path, monkeypatch
):
    from hashtagger.serving import importing

    (tmp_path / "photos").mkdir()
    shutil.copy(sample_photos["flower"], tmp_path / "photos" / "2020-03-05.jpg")
    client.ask(sample_photos["flower"])
    headers = {"X-CSRF-Token": client.csrf}
    tag_rows = importing.tag_rows

    def delete_first(*args, **kwargs):
        assert client.post("/history/1/delete", headers=headers).status_code == 200
        return tag_rows(*args, **kwargs)

    monkeypatch.setattr(importing, "tag_rows", delete_first)
    assert "new ones: 1)" in add(client, tmp_path / "photos")
    (photo,) = (site.settings.data_dir / "users/1/photos").rglob("*.jpg")
    assert photo.read_bytes() == sample_photos["flower"].read_bytes()


def test_the_background_goes_on_once_the_database_is_back(client, site, export, monkeypatch):
    monkeypatch.setattr("hashtagger.serving.work._PATIENCE", 0.05)
    client.get("/")
    sessions = site.app.state.services.sessions
    with sessions.begin() as db:
        db.execute(text("ALTER TABLE sorting RENAME TO away"))
    client.send_form("/library/imports", path=str(export))
    time.sleep(0.3)
    with sessions.begin() as db:
        db.execute(text("ALTER TABLE away RENAME TO sorting"))
    assert "new ones: 5)" in wait_for_imports(client, 20)


def test_photos_on_their_way_hold_no_connection(client, site, sample_photos, tmp_path):
    """66 clients request a video without reading it: one more than the pool has database connections."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "2021-03-04.mp4").write_bytes(b"\0\0\0 ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(30 << 20))
    add(client, tmp_path / "videos")
    client.ask(sample_photos["flower"])
    request = b"GET /library/media/1/large HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as lines:
        for _number in range(66):
            line = lines.enter_context(socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2]))))
            line.sendall(request)
            assert line.recv(12) == b"HTTP/1.1 200"
        assert site.app.state.services.sessions.kw["bind"].pool.checkedout() == 0


def test_tags_of_the_model_are_no_history(client, site, sample_photos, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(sample_photos["flower"], tmp_path / "photos" / "2020-03-05.jpg")
    add(client, tmp_path / "photos")
    services = site.app.state.services
    with services.sessions.begin() as db:
        db.add(PostTag(post_id=1, user_id=1, position=0, typed="꽃", tag="꽃", by_model=True))
    with services.sessions() as db:
        assert services.habits.of(db, 1) is None
    client.send_form("/library/correct", posts=[1], add="봄")
    with services.sessions() as db:
        assert len(services.habits.of(db, 1)) == 1
        assert services.habits.of(db, 1) is services.habits.of(db, 1), "learned once"


def test_posts_are_removed_with_our_copies_and_nothing_else(client, site, sample_photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"2021-03-0{number + 1}.jpg").write_bytes(cut(sample_photos["flower"], number))
    originals = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    add(client, folder)
    client.ask(folder / "2021-03-01.jpg")
    client.send_form("/library/correct", posts=[1], add="봄")
    stored = lambda: len(list((site.settings.data_dir / "users/1/photos").rglob("*.jpg")))  # noqa: E731
    assert stored() == 3
    answer = client.send_form("/library/remove", posts=[2], back="/library?tag=%EA%BD%83")
    assert answer.headers["hx-redirect"] == "/library?tag=%EA%BD%83"
    assert "Posts taken out of the library: 1" in client.get("/library").text
    assert posts_at(client) == [3, 1]
    assert stored() == 2
    assert client.get("/library/posts/2").status_code == 404
    answer = client.send_form("/library/remove", posts=[99], back="/library?q=나들이 +꽃")
    assert answer.headers["hx-redirect"] == "/library?q=%EB%82%98%EB%93%A4%EC%9D%B4%20+%EA%BD%83"
    answer = client.send_form("/library/remove", posts=[1, 3, 99], back="//evil.example")
    assert answer.headers["hx-redirect"] == "/library"
    assert posts_at(client) == []
    assert stored() == 1, "the history still shows this one"
    assert client.get("/history/1/photo/large").status_code == 200
    assert "/library/posts/" not in client.get("/history").text
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == originals
    assert "new ones: 3)" in add(client, folder)


def test_folders_of_photos_and_what_is_wrong_with_them(client, sample_photos, tmp_path):
    folder = tmp_path / "사진"
    folder.mkdir()
    with Image.open(sample_photos["palace"]) as palace:
        palace.crop((0, 0, 300, 300)).save(folder / "2020-03-04 궁궐.jpg", quality=95)  # a part that the model knows
    with Image.open(sample_photos["flower"]) as flower:
        flower.crop((0, 300, 250, 427)).save(folder / "2020-03-05 꽃.jpg", quality=95)  # a part that it is not sure of
        flower.crop((0, 0, 250, 127)).save(folder / "2020-03-06.jpg", xmp=b"<x:xmpmeta")
    (folder / "bad.jpg").write_bytes(b"no photo")
    (folder / "cut.jpg").write_bytes((folder / "2020-03-05 꽃.jpg").read_bytes()[:200])
    text = add(client, folder)
    assert "posts: 3, new ones: 3)" in text
    assert "Files with problems: 3<" in text
    assert "bad.jpg: not a photo<" in text
    assert "cut.jpg: damaged photo<" in text
    assert "2020-03-06.jpg: damaged: " in text
    posts = [client.get(f"/library/posts/{number}").text for number in (1, 2)]
    assert sorted("chip guessed" in post for post in posts) == [False, True]
    assert "여행" in next(post for post in posts if "chip guessed" in post)
    for path, words in (
        (tmp_path / "absent", "no such file"),
        ("relative", "absolute path"),
        ("/a\0b", "absolute path"),
        ("~nobody-here/x", "absolute path"),
        ("/" + "a" * 300, "too long"),
    ):
        answer = client.send_form("/library/imports", path=str(path))
        assert answer.status_code == 422
        assert words in answer.text.lower()
    for written in (f"'{folder}'", f'"{folder}" ', folder.as_uri(), f"file://localhost{folder}"):
        assert client.send_form("/library/imports", path=written).status_code == 303, written
        assert "posts: 3, new ones: 0)" in wait_for_imports(client)
    (tmp_path / "empty").mkdir()
    text = add(client, tmp_path / "empty")
    assert "could not be imported" in text
    assert "no posts here" in text


def test_killed_in_the_middle_of_an_import_it_goes_on(sample_photos, tmp_path):
    """The real command is killed during an import and started again, with a browser that it must not wait for."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport pathlib, sys, urllib.request\n"
        f"urllib.request.urlopen(sys.argv[1], timeout=60)\npathlib.Path({str(opened)!r}).write_text(sys.argv[1])\n"
    )
    browser.chmod(0o755)
    folder = tmp_path / "많은 사진"
    folder.mkdir()
    total = 30
    for number in range(total):
        (folder / f"2021-03-{number % 28 + 1:02d} {number}.jpg").write_bytes(cut(sample_photos["flower"], number))
    environment = {
        **os.environ,
        "HASHTAGGER_DATA_DIR": str(tmp_path / "data"),
        "HASHTAGGER_DATABASE_URL": "",
        "LANGUAGE": "en",
        "PYTHONUNBUFFERED": "1",
        "BROWSER": str(browser),
    }
    command = [sys.executable, "-m", "hashtagger", "serve", "--port", "0"]

    def start():
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)[0]
        return process, Client(base_url=url, headers={"Accept-Language": "en"}, timeout=60)

    def stored() -> int:
        text = client.get("/library/imports").text
        return int(re.search(r"posts: (\d+)", text)[1]) if "posts" in text else 0

    process, client = start()
    with client:
        assert client.send_form("/library/imports", path=str(folder)).status_code == 303
        while stored() < 5:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(httpx.TransportError):
            client.get("/library/imports")
    process, client = start()
    with client:
        second = CliRunner().invoke(group, command[3:], env=environment)
        assert second.exit_code == 1
        url = str(client.base_url).rstrip("/")
        assert second.stderr.startswith(f"Error: {tmp_path / 'data'}: another hashtagger serves this folder at {url};")
        text = wait_for_imports(client)
        while not opened.exists():  # the test's timeout ends this
            time.sleep(0.05)
        assert opened.read_text().strip() == url
        added = int(re.search(r"new ones: (\d+)", text)[1])
        assert added == len({cut(sample_photos["flower"], number) for number in range(total)})
        photos = list((tmp_path / "data/users/1/photos").rglob("*.jpg"))
        assert len(photos) == added
        assert all(Image.open(path).size == (200, 160) for path in photos)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_odd_text_breaks_nothing(client, export, sample_photos):
    add(client, export)
    client.ask(sample_photos["flower"])
    assert client.get("/library", params={"tag": "a\0b"}).status_code == 400
    for number in (3_000_000_000, 10**20):
        assert client.get("/history", params={"before": number}).status_code == 422
        for action in ("correct", "remove"):
            assert client.send_form(f"/library/{action}", posts=[number]).status_code == 422
    for word in (
        "\0",
        "<script>alert(1)</script>",
        "'; DROP TABLE post; --",
        "%",
        "_",
        "\\",
        "a" * 200,
        "🐶",
        "﷽" * 60,
    ):
        if "\0" not in word:
            assert client.get("/library", params={"q": word}).status_code == 200, word
            assert client.get("/library", params={"tag": word}).status_code == 200, word
        client.send_form("/library/correct", posts=["1"], add=word, remove="")
    long = "".join(map(chr, range(0xAC00, 0xAC00 + 1200)))
    assert client.send_form("/library/correct", posts=["2"], add=f"{long} 짧은말").status_code == 303
    assert posts_at(client, q="짧은말") == [2]
    assert long not in client.get("/library/posts/2").text
    headers = {"X-CSRF-Token": client.csrf, "Content-Type": "application/json"}
    for body, status in (('["\\u0000", "꽃"]', 204), ('["\\ud800"]', 422), ("[", 422), ("[[[", 422)):
        assert client.put("/history/1/chosen", headers=headers, content=body).status_code == status, body
    for path in ("/library", "/library/posts/1", "/history", "/history/export.json"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "<script>" not in answer.text
    assert len(posts_at(client)) == 5


class TestBrowser:
    def test_a_zip_from_the_file_chooser_to_an_organized_folder(self, browse, export, tmp_path):
        page = browse("/library")
        page.get_by_text("by month and by hashtag").wait_for()
        page.set_input_files("#archives", export)
        page.locator(".import.done", has_text="posts: 5").wait_for()
        page.locator(".found small", has_text="Posts: 5").wait_for()
        assert page.locator(".tile").count() == 5
        page.fill("#q", "댕댕이")
        page.press("#q", "Enter")
        page.get_by_text("means #강아지").wait_for()
        assert page.locator(".tile").count() == 2
        page.locator(".tile input").first.check()
        page.locator(".correcting").wait_for()
        page.get_by_label("Add tags").fill("고양이")
        page.get_by_label("Remove tags").fill("강아지")
        page.get_by_role("button", name="Correct").click()
        page.wait_for_url("**/library?q=**")
        page.locator(".found small", has_text="Posts: 1").wait_for()
        page.goto("/library?tag=고양이")
        assert page.locator(".tile").count() == 3
        page.locator(".tile a").last.click()
        page.locator(".large img").wait_for()
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**/library/posts/3?tag=**")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove from the library").click()
        page.wait_for_url("**/library?tag=**")
        page.locator(".found small", has_text="Posts: 2").wait_for()
        page.get_by_role("link", name="Show all").click()
        page.locator(".found small", has_text="Posts: 4").wait_for()
        page.locator(".tile input").first.check()
        page.get_by_role("button", name="Remove from the library").click()
        page.locator(".found small", has_text="Posts: 3").wait_for()
        page.goto("/library/sort")
        page.get_by_label("Absolute path of a folder").fill(str(tmp_path / "sorted"))
        page.get_by_role("button", name="Show the plan").click()
        page.get_by_role("button", name="Organize").click()
        page.get_by_role("button", name="Undo").click(timeout=60_000)
        page.get_by_text("files removed").wait_for()
        assert not (tmp_path / "sorted").exists()

    def test_back_finds_the_library_as_it_was_left(self, browse, site, export):
        with site.client() as client:
            add(client, export)
        with site.app.state.services.sessions.begin() as db:
            copied = {
                name: getattr(db.get(Post, 1), name) for name in ("user_id", "taken_at", "month", "guess", "caption")
            }
            for number in range(60):
                media = [Media(user_id=1, position=0, kind="photo", name="x", digest="0" * 64, suffix="jpg")]
                db.add(Post(key=f"{number}", media=media, **copied))
        page = browse("/library")
        assert page.locator(".tile").count() == 60
        page.get_by_role("button", name="Show more").press("Enter")
        page.locator(".tile").nth(64).wait_for()
        expect(page.locator(".tile a").nth(60)).to_be_focused()
        assert page.locator("#correct [name=back]").input_value() == "/library?shown=120"
        assert "back=%2Flibrary%3Fshown%3D120" in page.locator("form.language").get_attribute("action")
        page.locator(".tile input").nth(62).check()
        page.locator(".tile a").nth(64).click()
        page.locator("#newer").wait_for()
        page.go_back()
        page.locator(".correcting", has_text="1 selected").wait_for()
        assert page.locator(".tile").count() == 65
        page.locator(".tile a").nth(64).click()
        page.locator(".steps").get_by_role("link", name="Library").click()
        page.wait_for_url("**/library?shown=120#post-1")
        assert page.locator(".tile").count() == 65
        assert page.get_by_role("button", name="Show more").count() == 0

    def test_photos_are_chosen_or_dropped(self, browse, export, sample_photos):
        page = browse("/library")
        page.set_input_files("#photos", sample_photos["flower"])
        page.locator(".found small", has_text="Posts: 1").wait_for()
        page.evaluate(
            """([bytes, zip]) => { const box = new DataTransfer();
            box.items.add(new File([new Uint8Array(bytes)], "궁궐.jpg", {type: "image/jpeg"}));
            box.items.add(new File([new Uint8Array(zip)], "내보내기.zip", {type: "application/zip"}));
            const options = {bubbles: true, cancelable: true, dataTransfer: box};
            if (document.body.dispatchEvent(new DragEvent("dragover", options))) throw "the browser would open it";
            document.body.dispatchEvent(new DragEvent("drop", options)); }""",
            [list(sample_photos["palace"].read_bytes()), list(export.read_bytes())],
        )
        page.locator(".import.done", has_text="궁궐.jpg").wait_for()
        page.locator(".import.done", has_text="내보내기.zip").wait_for()
        page.locator(".found small", has_text="Posts: 7").wait_for()

    def test_a_refused_form_keeps_what_was_typed(self, browse):
        page = browse("/library")
        page.get_by_label("path of a folder").fill("relative/path")
        page.get_by_role("button", name="Add").click()
        page.locator(".refused[role=alert]", has_text="absolute path").wait_for()
        assert page.get_by_label("path of a folder").input_value() == "relative/path"

    def test_a_video_is_known_by_its_mark_and_name_and_arrow_keys_are_its_own(self, browse, site, tmp_path):
        (tmp_path / "videos").mkdir()
        for day in ("04", "05"):
            film = tmp_path / "videos" / f"2021-03-{day}.mp4"
            film.write_bytes(b"\0\0\0 ftypisom\0\0\2\0isomiso2avc1mp41" + day.encode())
        with site.client() as client:
            add(client, tmp_path / "videos")
        page = browse("/library")
        tile = page.locator(".tile a", has_text="2021-03-04.mp4")
        assert "▶" in tile.evaluate("tile => getComputedStyle(tile, '::after').content")
        tile.click()
        page.locator("#newer").evaluate(  # waits for the page
            "newer => newer.addEventListener('click', event => { event.preventDefault(); document.title = 'left'; })"
        )
        page.locator("video").focus()
        page.keyboard.press("ArrowLeft")
        assert page.title() != "left"
        page.locator("video").evaluate("video => video.blur()")
        page.keyboard.press("ArrowLeft")
        assert page.title() == "left"

    def test_an_upload_that_fails_is_given_up_and_only_one_is_under_way(self, browse, make_settings, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "large.jpg").write_bytes(bytes(2000))
        with running(make_settings(upload_bytes=1000)) as site:
            page = browse("/library", on=site)
            let_go = []
            sent = re.compile(r"/file\?path=photos%2Flarge.jpg")
            page.route(sent, lambda route: let_go.append(route))
            with page.expect_request(sent):
                page.set_input_files("#folder", tmp_path / "photos")
            expect(page.locator("#upload input:disabled")).to_have_count(3)
            assert "import receiving" in page.request.get("/library/imports").text()
            with page.expect_response("**/dismiss"):
                let_go[0].continue_()
            page.locator("#toast.bad", has_text="too much at once").wait_for()
            assert page.locator("#upload input:disabled").count() == 0
            assert "import receiving" not in page.request.get("/library/imports").text()
            page.context.close()

    def test_one_bad_file_does_not_stop_an_upload(self, browse, sample_photos, tmp_path):
        folder = tmp_path / "photos"
        folder.mkdir()
        for name in ("gone.jpg", "kept.jpg", "refused.jpg"):
            (folder / name).write_bytes(cut(sample_photos["flower"], len(name)))
        page = browse("/library")
        page.route("**/file?*refused*", lambda route: route.fulfill(status=422, body="<p class=error>too long</p>"))
        page.route("**/library/uploads", lambda route: ((folder / "gone.jpg").unlink(), route.continue_()))
        page.set_input_files("#folder", folder)
        page.locator(".import.done", has_text="new ones: 1").wait_for()
        page.get_by_text("Files with problems: 2").click()
        assert page.get_by_text("photos/gone.jpg: it cannot be read").is_visible()
        assert page.get_by_text("photos/refused.jpg: too long").is_visible()

    def test_an_import_that_ends_leaves_what_is_typed(self, browse, site, export):
        with site.client() as client:
            number = client.send_form("/library/uploads", name="올림").json()["upload"]
            address = f"/library/uploads/{number}"
            headers = {"X-CSRF-Token": client.csrf}
            client.put(f"{address}/file?path=a.zip", headers=headers, content=export.read_bytes())
            # A truncated archive.
            client.send_form("/library/uploads", name="끊김")
            page = browse("/library")
            page.get_by_label("path of a folder").fill("/home")
            client.send_form(f"{address}/done")
        page.get_by_role("link", name="Show the new posts").wait_for()
        assert page.get_by_label("path of a folder").input_value() == "/home"
        page.get_by_role("link", name="Show the new posts").click()
        page.locator(".found small", has_text="Posts: 5").wait_for()

    def test_what_is_under_way_disturbs_nothing_else(self, browse, site, sample_photos, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "good.jpg").write_bytes(cut(sample_photos["flower"], 0))
        (tmp_path / "photos" / "bad.jpg").write_bytes(b"no photo")
        with site.client() as client:
            add(client, tmp_path / "photos")
            client.send_form("/library/uploads", name="coming")
        page = browse("/library")
        page.get_by_text("Files with problems: 1").click()
        page.get_by_role("button", name="Give up").focus()
        for _number in range(2):
            with page.expect_response("**/library/imports"):
                pass
        page.wait_for_timeout(200)
        assert page.get_by_text("bad.jpg").is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Give up"
        page.get_by_role("button", name="Dismiss").click()
        page.locator(".import.done").wait_for(state="detached")
        with page.expect_navigation():
            page.get_by_role("button", name="Give up").click()
        assert page.locator(".import").count() == 0
