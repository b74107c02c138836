import asyncio
import errno
import os
import re
import socket

import pytest
from click.testing import CliRunner
from fastapi import Request

from hashtagger.cli import group
from hashtagger.serving.language import choose
from hashtagger.serving.security import Gate
from hashtagger.serving.settings import is_loopback
from hashtagger.serving.work import Worker

from .conftest import running


def test_headers_of_every_answer(client):
    for path in ("/", "/nothing", "/api/health", "/static/style.css", "/history"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "<script>" not in answer.text


def test_the_policy_names_the_server_of_tiles_where_there_is_one(make_settings):
    tiles = "https://tiles.example:8443/{z}/{x}/{y}.png?key=a"
    with running(make_settings(tiles=tiles)) as site, site.client() as client:
        policy = client.get("/").headers["content-security-policy"]
    assert "img-src 'self' blob: data: https://tiles.example:8443;" in policy


@pytest.mark.parametrize(
    "tiles", ["tile.openstreetmap.org/{z}/{x}/{y}", "https://x; script-src *//{z}{x}{y}", "https://x"]
)
def test_odd_addresses_of_tiles_are_one_line(monkeypatch, tiles):
    monkeypatch.setenv("HASHTAGGER_TILES", tiles)
    result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: HASHTAGGER_TILES={tiles}: give an address")


def test_changes_need_the_sessions_token(client, site, sample_photos):
    photo = {"file": ("a.jpg", sample_photos["flower"].read_bytes())}
    assert client.post("/recommend", files=photo).status_code == 403
    assert client.post("/recommend", files=photo, headers={"X-CSRF-Token": "0" * 64}).status_code == 403
    assert client.post("/history/delete").status_code == 403
    with site.client() as other:
        assert client.post("/history/delete", headers={"X-CSRF-Token": other.csrf}).status_code == 403
    assert client.post("/history/delete", headers={"X-CSRF-Token": client.csrf}).status_code == 200


def test_other_sites_are_refused(client):
    token = {"X-CSRF-Token": client.csrf}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post("/history/delete", headers={**token, **headers}).status_code == 403
        assert client.post("/api/recommend", headers=headers, files={"files": b"x"}).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/api/health", headers={"Host": "127.0.0.1.evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/", headers={"Host": "[::1"}).status_code == 400
    assert client.post("/history/delete", headers={**token, "Origin": "http://["}).status_code == 400


def test_the_session_cookie(client):
    cookie = client.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert "set-cookie" not in client.get("/").headers
    assert "set-cookie" not in client.get("/api/health").headers


def test_behind_a_proxy_with_tls_the_cookie_is_secure(client):
    assert "; Secure" in client.get("/", headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]


def test_too_large_is_refused_before_and_while_it_comes(make_settings, sample_photos):
    with running(make_settings(photo_bytes=100_000)) as site, site.client() as client:
        headers = {"X-CSRF-Token": client.csrf}
        flower = sample_photos["flower"].read_bytes()
        answer = client.post("/recommend", headers=headers, files={"file": ("a.jpg", flower)})
        assert answer.status_code == 415
        assert "larger than" in answer.text
        answer = client.post("/api/recommend", files=[("files", flower)] * 40)
        assert answer.status_code == 413
        assert answer.json()["status"] == 413

        def pieces():
            for _number in range(40):
                yield flower

        # Without a Content-Length, bytes are counted as they arrive.
        try:
            answer = client.post(
                "/api/recommend", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            )
        except Exception as error:
            assert "Error" in type(error).__name__
        else:
            assert answer.status_code in (400, 413)


def test_nothing_is_read_of_who_is_not_logged_in(make_settings):
    with running(make_settings(accounts=True)) as site:
        for request in ("POST /api/recommend", "POST /recommend", "PUT /library/uploads/1/file?path=a"):
            with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), timeout=10) as line:
                line.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n".encode())
                assert line.recv(12) == b"HTTP/1.1 401", request


def test_what_goes_wrong_here_is_told_in_ones_language_behind_the_headers(site, monkeypatch, caplog):
    monkeypatch.setattr("hashtagger.serving.api.related", lambda tag, k: 1 / 0)
    monkeypatch.setattr("hashtagger.serving.recommend.vocabularies", lambda: 1 / 0)
    with site.client("ko") as client:
        page = client.get("/")
        assert page.status_code == 500
        assert '<html lang="ko">' in page.text
        assert "default-src" in page.headers["content-security-policy"]
        assert "hashtagger" in client.cookies
        problem = client.get("/api/tags/related", params={"tag": "꽃"}).json()
        assert (problem["status"], problem["title"]) == (500, "Internal Server Error")
    assert "ZeroDivisionError" in caplog.text


def test_who_hangs_up_is_no_error(make_settings, caplog):
    async def hang_up():
        return {"type": "http.disconnect"}

    async def read(scope, receive, _send):
        await Request(scope, receive).body()
        pytest.fail("read to the end")

    scope = {"type": "http", "method": "PUT", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(Gate(read, make_settings())(scope, hang_up, None))
    assert caplog.text == ""


def test_too_many_pixels(make_settings, sample_photos):
    with running(make_settings(photo_pixels=100_000)) as site, site.client() as client:
        answer = client.ask(sample_photos["flower"])
        assert answer.status_code == 415
        assert "megapixels" in answer.text


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, None, "ko"),
        (None, "en-US,en;q=0.9", "en"),
        (None, "en;q=0.5, ko", "ko"),
        (None, "en; q=0.9", "en"),
        (None, "ko; Q=0.5, en ; q=0.9", "en"),
        (None, "fr, en;q=0.2", "en"),
        (None, "fr", "ko"),
        (None, "en;q=0", "ko"),
        (None, "en;q=x,;;,", "ko"),
        ("en", "ko", "en"),
        ("xx", "en", "en"),
    ],
)
def test_language(cookie, accept, language):
    assert choose(cookie, accept) == language


def test_the_switch_of_languages_leads_nowhere_else(client):
    for back, there in (
        ("/history", "/history"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil", "/"),
    ):
        answer = client.post("/language", params={"to": "ko", "back": back}, data={"csrf": client.csrf})
        assert answer.status_code == 303
        assert answer.headers["location"] == there
    assert '<html lang="ko">' in client.get("/").text


def test_the_switch_on_a_refusal_leads_to_the_first_page(client):
    refused = client.send_form("/library/imports", path="/absent").text
    switch = re.search(r'method="post" action="(/language[^"]+)"', refused)[1].replace("&amp;", "&")
    assert client.send_form(switch).headers["location"] == "/"
    assert "back=" not in re.search(r'action="/language[^"]+"', client.get("/absent").text)[0]


def test_what_was_typed_wrong_is_told_in_ones_language(site):
    with site.client("ko") as client:
        answer = client.get("/library", params={"q": "x" * 201})
        assert answer.status_code == 422
        assert "너무 길거나" in answer.text
        assert "String" not in answer.text


def test_loopback():
    assert all(map(is_loopback, ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.2", "example.org", ""]))


def test_serving_other_machines_takes_accounts():
    result = CliRunner().invoke(group, ["serve", "--host", "0.0.0.0", "--no-browser"])
    assert result.exit_code == 1
    assert "--accounts" in result.stderr


def test_a_taken_port_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HASHTAGGER_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("HASHTAGGER_DATABASE_URL", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: port {port} is taken by another program; choose another: --port ")
    assert result.stderr.count("\n") == 1


def test_a_database_that_cannot_be_used_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HASHTAGGER_DATA_DIR", str(tmp_path))
    for url in ("nonsense", "sqlite:////nowhere/at/all.sqlite", "nosuch://x/y"):
        monkeypatch.setenv("HASHTAGGER_DATABASE_URL", url)
        result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", "0"])
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: HASHTAGGER_DATABASE_URL: ")
        assert result.stderr.count("\n") == 1


def test_a_server_that_does_not_come_up_fails(monkeypatch, tmp_path):
    def fail(worker):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Worker, "start", fail)
    monkeypatch.setenv("HASHTAGGER_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("HASHTAGGER_DATABASE_URL", raising=False)
    result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", "0"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert os.strerror(errno.ENOSPC) in result.stderr
    assert result.stderr.endswith("\nError: the server could not start; the lines above tell why\n")


def test_a_data_folder_that_is_none_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HASHTAGGER_DATA_DIR", str(tmp_path / "file"))
    result = CliRunner().invoke(group, ["serve", "--no-browser", "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path / 'file'}: File exists\n"
