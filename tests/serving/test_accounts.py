import html
import io
import re
import time
import zipfile
from contextlib import contextmanager

import pytest
from fastapi import Request

from hashtagger.serving.throttle import Throttle

from .conftest import cut, posts_at, running, wait_for_imports

PASSWORD = "correct horse battery"


@pytest.fixture
def town(make_settings):
    """A server with accounts."""
    with running(make_settings(accounts=True)) as site:
        yield site


@contextmanager
def sign_up(site, name: str):
    with site.client() as client:
        answer = client.send_form("/signup", name=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        yield client


@pytest.fixture
def mina(town):
    with sign_up(town, "mina") as client:
        yield client


@pytest.fixture
def juno(town):
    with sign_up(town, "준오") as client:
        yield client


def upload(client, name: str, data: bytes) -> None:
    headers = {"X-CSRF-Token": client.csrf}
    number = client.post("/library/uploads", headers=headers, data={"name": name}).json()["upload"]
    client.put(f"/library/uploads/{number}/file", params={"path": name}, headers=headers, content=data)
    client.post(f"/library/uploads/{number}/done", headers=headers)
    wait_for_imports(client)


def test_without_log_in_there_is_nothing(town, sample_photos):
    with town.client() as client:
        for path in ("/", "/history", "/library", "/library/sort", "/account", "/history/export.json"):
            answer = client.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login"), path
        flower = sample_photos["flower"].read_bytes()
        answer = client.post("/api/recommend", files={"files": flower})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/api/tags/normalize", params={"tag": "x"}).status_code == 401
        assert client.get("/api/health").status_code == 200
        assert client.ask(sample_photos["flower"]).status_code == 401
        part = {"HX-Request": "true", "HX-Current-URL": f"{town.url}/library?tag=x"}
        answer = client.get("/library/imports", headers=part)
        assert answer.headers["hx-redirect"] == "/login?to=%2Flibrary%3Ftag%3Dx"


def test_pages_that_are_not_there_lead_on_for_who_is_logged_in(town, mina):
    text = mina.get("/nothing").text
    assert 'href="/account"' in text
    assert 'href="/library"' in text
    with town.client() as client:
        assert 'href="/library"' not in client.get("/nothing").text


def test_sign_up_log_out_log_in(town, mina):
    assert mina.get("/").status_code == 200
    assert "mina" in mina.get("/account").text
    assert mina.get("/login").headers["location"] == "/"
    mina.send_form("/logout")
    assert mina.get("/login").status_code == 200
    assert mina.get("/").status_code == 303
    for name, password, status in (
        ("mina", "wrong password", 401),
        ("nobody", PASSWORD, 401),
        ("/local", "", 422),
        ("/local", "x", 401),
        (" MINA ", PASSWORD, 303),
    ):
        assert mina.send_form("/login", name=name, password=password).status_code == status, name
    assert mina.get("/").status_code == 200


def test_log_in_leads_to_the_page_that_was_asked_for(town, mina):
    with town.client() as client:
        door = client.get("/library", params={"q": "댕댕이 카페"}).headers["location"]
        to = html.unescape(re.search(r'name="to" value="([^"]+)"', client.get(door).text)[1])
        assert to.startswith("/library?q=")
        refused = client.send_form("/login", name="mina", password="wrong", to=to)
        assert f'name="to" value="{html.escape(to)}"' in refused.text
        assert client.send_form("/login", name="mina", password=PASSWORD, to=to).headers["location"] == to
        assert client.get(door).headers["location"] == to
        for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example", "evil.example"):
            assert client.get("/login", params={"to": elsewhere}).headers["location"] == "/", elsewhere
            answer = client.send_form("/login", name="mina", password=PASSWORD, to=elsewhere)
            assert answer.headers["location"] == "/", elsewhere


@pytest.mark.parametrize(
    ("name", "password"),
    [("mina", PASSWORD), ("x", PASSWORD), ("a b", PASSWORD), ("/local", PASSWORD), ("new", "short"), ("new", "a" * 20)],
)
def test_refused_sign_ups(town, mina, name, password):
    with town.client() as client:
        answer = client.send_form("/signup", name=name, password=password)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert client.get("/").status_code == 303


def test_log_in_is_under_a_new_session(town, mina):
    with town.client() as client:
        client.get("/login")
        planted = client.cookies["hashtagger"]
        client.send_form("/login", name="mina", password=PASSWORD)
        assert client.cookies["hashtagger"] != planted
        with town.client() as thief:
            thief.cookies.set("hashtagger", planted)
            assert thief.get("/").status_code == 303
        kept = client.cookies["hashtagger"]
        client.send_form("/logout")
        with town.client() as thief:
            thief.cookies.set("hashtagger", kept)
            assert thief.get("/").status_code == 303, "a log-out counts on the server"


def test_the_database_holds_neither_passwords_nor_tokens(town, mina):
    from sqlalchemy import select

    from hashtagger.serving.store import LogIn, User

    with town.app.state.services.sessions() as db:
        user = db.scalar(select(User).where(User.name == "mina"))
        assert user.password.startswith("$argon2id$")
        assert mina.cookies["hashtagger"] not in list(db.scalars(select(LogIn.key)))


def test_a_guess_takes_64_mebibytes_three_times_over(monkeypatch):
    monkeypatch.undo()  # restore the real hash parameters
    from hashtagger.serving.accounts import _hash

    assert _hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,")


def test_too_many_log_ins(town, mina):
    with town.client() as client:
        answers = [client.send_form("/login", name="mina", password="guess") for _try in range(9)]
        assert [answer.status_code for answer in answers] == [401] * 8 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert client.send_form("/login", name="mina", password=PASSWORD).status_code == 429


def test_an_address_that_is_refused_locks_no_names(town, mina):
    with town.client() as client:
        for number in range(41):
            status = client.send_form("/login", name=f"n{number}", password="guess").status_code
        assert status == 429
        for _try in range(9):
            assert client.send_form("/login", name="mina", password="guess").status_code == 429
        client.headers["X-Forwarded-For"] = "203.0.113.9"
        assert client.send_form("/login", name="mina", password=PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::a:b:c:d", True),
        ("2001:db8::1", "2001:db8:0:0:9::1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_a_household_is_one_client(one, other, same):
    from hashtagger.serving.accounts import _client

    asked = [Request({"type": "http", "client": (host, 1)}) for host in (one, other)]
    assert (_client(asked[0]) == _client(asked[1])) == same


def test_throttle_lets_go_with_time():
    from fastapi import HTTPException

    throttle = Throttle(tries=2, window=0.05)
    throttle.check("a")
    throttle.check("a")
    with pytest.raises(HTTPException):
        throttle.check("a")
    throttle.check("a", times=2)
    throttle.check("b")
    time.sleep(0.06)
    throttle.check("a")


def test_nobody_sees_anothers_photos(town, mina, juno, sample_photos):
    mina.ask(sample_photos["flower"])
    upload(mina, "2021-03-04.jpg", cut(sample_photos["flower"], 1))
    mina.send_form("/library/correct", posts=["1"], add="비밀")
    own = [
        "/history/1/photo/thumb",
        "/history/1/photo/large",
        "/history/1/heat/flower",
        "/library/posts/1",
        "/library/media/1/thumb",
        "/library/media/1/large",
    ]
    token = {"X-CSRF-Token": juno.csrf}
    for path in own:
        assert mina.get(path).status_code == 200, path
        assert juno.get(path).status_code == 404, path
    for path in (
        "/history",
        "/library",
        "/library?q=비밀",
        "/library?other=1",
        "/library/imports",
        "/history/export.json",
    ):
        text = juno.get(path).text
        assert "flower.jpg" not in text
        assert "2021" not in text
        assert "/library/posts/" not in text
    assert juno.post("/history/1/delete", headers=token).status_code == 404
    assert juno.put("/history/1/chosen", headers=token, json=["x"]).status_code == 404
    juno.post("/history/delete", headers=token)
    juno.send_form("/library/correct", posts=["1"], add="남의것", remove="비밀")
    juno.send_form("/library/remove", posts=["1"])
    assert juno.put("/library/uploads/1/file", params={"path": "a"}, headers=token, content=b"x").status_code == 404
    assert juno.post("/library/uploads/1/done", headers=token).status_code == 404
    assert juno.post("/library/imports/1/dismiss", headers=token).status_code == 404
    assert len(mina.get("/history/export.json").json()) == 1
    assert "비밀" in mina.get("/library/posts/1").text
    assert "남의것" not in mina.get("/library/posts/1").text
    for path in ("/users/2/photos", "/static/../users", "/static/%2e%2e/store.py", "/static/..%2f..%2fsettings.py"):
        assert juno.get(path).status_code == 404


def test_folders_of_the_server_are_nobodys(town, mina, tmp_path):
    assert mina.send_form("/library/imports", path=str(tmp_path)).status_code == 404
    mina.send_form("/library/sort", destination=str(tmp_path / "x"), by="tag")
    wait_for_plan(mina)
    assert mina.send_form("/library/sort/1/apply").status_code == 404
    assert not (tmp_path / "x").exists()


def wait_for_plan(client) -> str:
    deadline = time.monotonic() + 60
    while "Planning" in (text := client.get("/library/sort").text):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return text


def test_a_library_is_handed_out_as_a_zip(town, mina, juno, sample_photos):
    photos = {f"2021-0{number}-04.jpg": cut(sample_photos["flower"], number) for number in (1, 2)}
    for name, data in photos.items():
        upload(mina, name, data)
    mina.send_form("/library/correct", posts=["1", "2"], add="꽃")
    mina.send_form("/library/sort", by=["date", "tag"])
    text = wait_for_plan(mina)
    assert "Plan (posts: 2, files: 2," in text
    (link,) = re.findall(r'href="(/library/sort/\d+/hashtagger.zip)"', text)
    head = mina.head(link)
    assert (head.status_code, head.headers["content-type"], head.content) == (200, "application/zip", b"")
    before = sorted(town.settings.data_dir.rglob("*"))
    answer = mina.get(link)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = [info for info in archive.infolist() if info.filename.endswith(".jpg")]
        folders = sorted(info.filename.rpartition("/")[0] for info in found)
        assert folders == ["date/2021/01", "date/2021/02", "tag/꽃", "tag/꽃"]
        assert {archive.read(info) for info in found} == set(photos.values())
        assert {info.date_time[:2] for info in found} == {(2021, 1), (2021, 2)}
        beside = sorted(name for name in archive.namelist() if not name.endswith(".jpg"))
        sidecars, pages = beside[:2], beside[2:]
        assert [name.rpartition("/")[0] for name in sidecars] == ["date/2021/01", "date/2021/02"]
        assert pages == ["index.html", "posts.csv", "report.json"]
        texts = [archive.read(name).decode() for name in beside]
        assert all("꽃" in text for text in texts[:4])
        assert not [text for text in texts if str(town.settings.data_dir) in text]
    assert sorted(town.settings.data_dir.rglob("*")) == before, "nothing is written for it"
    assert juno.get(link).status_code == 404
    # A new plan replaces the old one; removing a post deletes it.
    mina.send_form("/library/sort", by=["tag"])
    assert "Plan (posts: 2, files: 2," in wait_for_plan(mina)
    assert mina.get(link).status_code == 404
    mina.send_form("/library/remove", posts=["1"])
    assert not list((town.settings.data_dir / "users").glob("*/zips/*"))
    mina.send_form("/library/sort", by=["tag"])
    assert "Plan (posts: 1, files: 1," in wait_for_plan(mina)
    assert len(list((town.settings.data_dir / "users").glob("*/zips/*"))) == 1


def test_a_new_password_logs_others_out(town, mina):
    with town.client() as other:
        other.send_form("/login", name="mina", password=PASSWORD)
        assert mina.send_form("/account/password", password="wrong", new="another good one").status_code == 403
        assert mina.send_form("/account/password", password=PASSWORD, new="short").status_code == 422
        assert mina.send_form("/account/password", password=PASSWORD, new="another good one").status_code == 303
        assert "The password is changed." in mina.get("/").text
        assert other.get("/").status_code == 303
        assert other.send_form("/login", name="mina", password=PASSWORD).status_code == 401
        assert other.send_form("/login", name="mina", password="another good one").status_code == 303


def test_a_deleted_account_leaves_nothing(town, mina, juno, sample_photos):
    from sqlalchemy import func, select

    from hashtagger.serving.store import LOCAL_USER, Table, User

    mina.ask(sample_photos["flower"])
    juno.ask(sample_photos["palace"])
    upload(mina, "2021-03-04.jpg", cut(sample_photos["flower"], 1))
    mina.send_form("/library/correct", posts=["1"], add="비밀")
    assert mina.send_form("/account/delete", password="wrong").status_code == 403
    assert mina.send_form("/account/delete", password=PASSWORD).status_code == 303
    assert mina.get("/").status_code == 303
    with town.app.state.services.sessions() as db:
        kept = {user.name: user.id for user in db.scalars(select(User))}
        assert set(kept) == {LOCAL_USER, "준오"}
        for table in Table.metadata.sorted_tables:
            if "user_id" in table.c:
                others = select(func.count()).select_from(table).where(table.c.user_id != kept["준오"])
                assert db.scalar(others) == 0, table.name
    folders = [path.name for path in (town.settings.data_dir / "users").iterdir()]
    assert folders == [str(kept["준오"])]
    for file in town.settings.data_dir.glob("db.sqlite*"):
        assert "비밀".encode() not in file.read_bytes(), file
    assert len(juno.get("/history/export.json").json()) == 1


def test_a_new_account_has_nothing_of_a_deleted_one(town, mina, sample_photos):
    from sqlalchemy import select

    from hashtagger.serving.store import User

    services = town.app.state.services

    def habits(name):
        with services.sessions() as db:
            user = db.scalar(select(User.id).where(User.name == name))
            return user, services.habits.of(db, user)

    upload(mina, "2021-03-04.jpg", cut(sample_photos["flower"], 1))
    mina.send_form("/library/correct", posts=["1"], add="비밀")
    deleted, learned = habits("mina")
    assert learned is not None
    mina.send_form("/account/delete", password=PASSWORD)
    assert deleted not in services.habits._known
    with sign_up(town, "juno") as juno:
        upload(juno, "2021-03-04.jpg", cut(sample_photos["flower"], 2))
        (post,) = posts_at(juno)
        assert post > 1
        juno.send_form("/library/correct", posts=[post], add="낚시")
        number, other = habits("juno")
        assert number > deleted
        assert other is not learned


def test_what_was_local_is_nobodys_account(make_settings, sample_photos):
    with running(make_settings()) as site, site.client() as client:
        client.ask(sample_photos["flower"])
    with running(make_settings(accounts=True)) as site, sign_up(site, "someone") as client:
        assert client.get("/history/export.json").json() == []
        assert client.get("/history/1/photo/thumb").status_code == 404


class TestBrowser:
    def test_sign_up_recommend_log_out(self, browse, make_settings, sample_photos):
        with running(make_settings(accounts=True)) as town:
            page = browse("/", on=town)
            page.wait_for_url("**/login")
            form = page.locator("form[action='/signup']")
            form.get_by_label("Name").fill("지우")
            form.get_by_label("Password").fill(PASSWORD)
            form.get_by_role("button").click()
            page.locator("#choose").wait_for(state="attached")
            page.wait_for_load_state("networkidle")  # the script that uploads the photo must be loaded
            page.set_input_files("#choose", sample_photos["flower"])
            page.locator(".chip[data-heat]").first.wait_for()
            page.get_by_role("link", name="지우").click()
            page.get_by_role("button", name="Log out").click()
            page.wait_for_url("**/login")
            page.context.close()

    def test_two_people_in_two_browsers(self, browse, make_settings, sample_photos):
        with running(make_settings(accounts=True)) as town:
            pages = []
            for name in ("mina", "juno"):
                page = browse("/login", on=town)
                form = page.locator("form[action='/signup']")
                form.get_by_label("Name").fill(name)
                form.get_by_label("Password").fill(PASSWORD)
                form.get_by_role("button").click()
                page.locator("#drop").wait_for()
                pages.append(page)
            mina, juno = pages
            mina.set_input_files("#choose", sample_photos["flower"])
            mina.locator(".result").wait_for()
            mina.goto("/history")
            photo = mina.locator(".preview").get_attribute("src")
            assert mina.request.get(photo).status == 200
            juno.goto("/history")
            juno.get_by_role("link", name="Recommend for a photo").wait_for()
            assert juno.request.get(photo).status == 404
            for page in pages:
                page.context.close()
