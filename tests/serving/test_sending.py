from .conftest import add, running


def test_head_answers_as_get_does(client, export, sample_photos):
    add(client, export)
    client.ask(sample_photos["flower"])
    pages = ["/", "/library", "/library?tag=고양이", "/library/posts/1", "/library/imports", "/history"]
    files = ["/library/media/1/large", "/history/1/photo/thumb", "/history/1/heat/flower", "/history/export.json"]
    for path in [*pages, *files, "/nothing"]:
        got, asked = client.get(path), client.head(path)
        assert asked.status_code == got.status_code, path
        assert asked.content == b""
        for answer in (got, asked):
            answer.headers.pop("date")
        assert dict(asked.headers) == dict(got.headers), path
    assert client.head("/recommend").status_code == 405


def test_head_leads_to_the_login(make_settings):
    with running(make_settings(accounts=True)) as town, town.client() as client:
        for path in ("/library?q=봄", "/login"):
            got, asked = client.get(path), client.head(path)
            assert (asked.status_code, asked.headers.get("location")) == (got.status_code, got.headers.get("location"))


def test_a_file_that_the_browser_has_is_not_sent_again(client, export, sample_photos, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "2021-03-04.mp4").write_bytes(b"\0\0\0 ftypisom\0\0\2\0isomiso2avc1mp41")
    add(client, export)
    add(client, tmp_path / "videos")
    client.ask(sample_photos["flower"])
    for path, kind in (
        ("/library/media/1/thumb", "image/jpeg"),
        ("/library/media/6/thumb", "video/mp4"),
        ("/history/1/photo/large", "image/jpeg"),
        ("/history/1/heat/flower", "image/png"),
    ):
        first = client.get(path)
        assert first.headers["content-type"] == kind
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["cache-control"] == first.headers["cache-control"] == "private, max-age=86400"
        assert client.get(path, headers={"If-None-Match": '"another"'}).content == first.content
