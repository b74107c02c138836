import socket
import time
import zipfile

from .conftest import posts_at, running, wait_for_imports


class TestUpload:
    def put(self, client, number, path, data):
        headers = {"X-CSRF-Token": client.csrf}
        return client.put(f"/library/uploads/{number}/file", params={"path": path}, headers=headers, content=data)

    def begin(self, client) -> int:
        return client.send_form("/library/uploads", name="올림").json()["upload"]

    def test_a_zip(self, client, export, site):
        number = self.begin(client)
        assert self.put(client, number, export.name, export.read_bytes()).status_code == 204
        client.send_form(f"/library/uploads/{number}/done")
        assert "new ones: 5)" in wait_for_imports(client)
        assert list((site.settings.data_dir / "uploads").iterdir()) == []
        assert self.put(client, number, "late.jpg", b"x").status_code == 404

    def test_a_folder(self, client, sample_photos):
        number = self.begin(client)
        for name in ("flower", "palace"):
            assert self.put(client, number, f"휴가/{name}.jpg", sample_photos[name].read_bytes()).status_code == 204
        client.send_form(f"/library/uploads/{number}/done")
        assert "new ones: 2)" in wait_for_imports(client)

    def test_a_photo_that_cannot_be_read_is_named_and_the_others_are_taken_in(self, client, site, sample_photos):
        number = self.begin(client)
        whole = sample_photos["flower"].read_bytes()
        for name, data in (("꽃.jpg", whole), ("깨진 사진.jpg", whole[:9000]), ("글.jpg", b"words")):
            assert self.put(client, number, name, data).status_code == 204
        client.send_form(f"/library/uploads/{number}/done")
        text = wait_for_imports(client)
        assert "posts: 1, new ones: 1)" in text
        assert "깨진 사진.jpg: damaged" in text
        assert "글.jpg:" in text
        (kept,) = (site.settings.data_dir / "users/1/photos").rglob("*.jpg")
        assert kept.read_bytes() == whole

    def test_files_of_the_same_name_are_both_taken_in(self, client, sample_photos):
        number = self.begin(client)
        for name in ("flower", "palace"):
            assert self.put(client, number, "IMG_0001.jpg", sample_photos[name].read_bytes()).status_code == 204
        client.send_form(f"/library/uploads/{number}/done")
        assert "new ones: 2)" in wait_for_imports(client)

    def test_paths_that_climb_out(self, client, site):
        number = self.begin(client)
        before = sorted(site.settings.data_dir.parent.rglob("*"))
        for path in ("../evil.jpg", "a/../../evil.jpg", "/etc/evil", "..\\evil", "a\0b", "", "."):
            assert self.put(client, number, path, b"x").status_code in (400, 422), path
        after = [path for path in site.settings.data_dir.parent.rglob("*") if path not in before]
        assert not [path for path in after if "evil" in path.name]

    def test_colons_are_of_names_and_of_no_drive(self, client, site):
        number = self.begin(client)
        for path in ("여행 5:1/a.jpg", "C:\\a.jpg", "여행/D:a.jpg"):
            assert self.put(client, number, path, b"x").status_code == 204, path
        folder = site.settings.data_dir / "uploads" / str(number)
        found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
        assert found == ["C-/a.jpg", "여행 5-1/a.jpg", "여행/D-a.jpg"]

    def test_given_up(self, client, site):
        number = self.begin(client)
        self.put(client, number, "a.jpg", b"x")
        assert "Give up" in client.get("/library/imports").text
        client.send_form(f"/library/imports/{number}/dismiss")
        assert client.get("/library/imports").text.count("import") == 1
        assert not list((site.settings.data_dir / "uploads").iterdir())

    def test_a_bomb(self, client, site, tmp_path):
        bomb = tmp_path / "bomb.zip"
        with zipfile.ZipFile(bomb, "w") as archive:
            uri = "media/posts/202104/1.jpg"
            listing = f'[{{"media": [{{"uri": "{uri}", "creation_timestamp": 1617246000, "title": ""}}]}}]'
            archive.writestr("content/posts_1.json", listing)
            archive.writestr(uri, b"\xff\xd8\xff")
            archive.getinfo(uri).file_size = 300 << 20
        number = self.begin(client)
        self.put(client, number, "bomb.zip", bomb.read_bytes())
        client.send_form(f"/library/uploads/{number}/done")
        text = wait_for_imports(client)
        assert "claims to unpack" in text
        assert str(site.settings.data_dir) not in text
        assert posts_at(client) == []

    def test_files_of_one_upload_at_once(self, client, site):
        number = self.begin(client)
        cookie = f"hashtagger={client.cookies['hashtagger']}"
        lines = []
        for name in ("a", "b"):
            line = socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), timeout=10)
            line.sendall(
                f"PUT /library/uploads/{number}/file?path={name} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
                f"X-CSRF-Token: {client.csrf}\r\nContent-Length: 200000\r\n\r\n{name * 100000}".encode()
            )
            lines.append((name, line))
            time.sleep(0.2)
        for name, line in lines:
            with line:
                line.sendall(name.encode() * 100000)
                assert line.recv(12) == b"HTTP/1.1 204"
        (folder,) = (site.settings.data_dir / "uploads").iterdir()
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "a" * 200000, "b": "b" * 200000}

    def test_limits(self, make_settings):
        with running(make_settings(upload_bytes=1000, upload_files=2)) as site, site.client() as client:
            number = self.begin(client)
            assert self.put(client, number, "big", bytes(1001)).status_code == 413
            assert self.put(client, number, "a", b"x").status_code == 204
            assert self.put(client, number, "a/b", b"x").status_code == 422
            assert self.put(client, number, "c", b"x").status_code == 204
            assert self.put(client, number, "d", b"x").status_code == 413
