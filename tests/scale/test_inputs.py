import io
import os
import shutil
import tarfile
import zipfile
from types import SimpleNamespace

import fsspec
import pytest

from hashtagger.errors import ImageError, TaggingError
from hashtagger.images import load_image
from hashtagger.scale.inputs import list_photos
from hashtagger.scale.run import tag_photos
from hashtagger.scale.storage import open_photo

BELOW = ["[1].jpg", "a.JPG", "b.jpg", "sub/c.png", "sub/deep/d.webp"]


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.jpg",
        "a.JPG",
        "notes.txt",
        ".hidden.jpg",
        "sub/c.png",
        "sub/deep/d.webp",
        ".trash/e.jpg",
        "[1].jpg",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def test_a_folder_gives_its_photos_in_order(folder):
    assert list(list_photos([str(folder)])) == [str(folder / name) for name in BELOW]


def test_a_folder_is_not_read_before_its_photos_are_asked_for(folder):
    photos = list_photos([str(folder)])
    assert next(photos).endswith("[1].jpg")
    (folder / "sub" / "new.jpg").write_bytes(b"x")
    assert any(photo.endswith("new.jpg") for photo in photos)


def test_a_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    for given in (str(folder), f"file://{folder}"):
        photos = list_photos([given])
        assert [next(photos).rpartition("/")[2] for _ in range(4)] == ["[1].jpg", "a.JPG", "b.jpg", "c.png"]
        with pytest.raises(TaggingError, match=f"{given}/sub/deep: permission denied"):
            next(photos)


def test_links_to_folders_are_named_and_not_followed(folder, tmp_path, caplog):
    before = list(list_photos([str(folder)]))
    (folder / "circle").symlink_to(folder)
    (folder / ".hidden").symlink_to(tmp_path)
    assert list(list_photos([str(folder)])) == before
    assert caplog.messages == [f"links to folders are not followed: {folder / 'circle'}"]


def test_files_and_globs_keep_their_order(folder):
    long = "name" * 100 + ".jpg"
    given = [
        str(folder / "b.jpg"),
        str(folder / "**" / "*.webp"),
        str(folder / "[1].jpg"),
        "absent.jpg",
        long,
    ]
    expected = [folder / "b.jpg", folder / "sub/deep/d.webp", folder / "[1].jpg", "absent.jpg", long]
    assert list(list_photos(given)) == list(map(str, expected))


@pytest.mark.parametrize("place", ["no*.jpg", "name" * 100 + "*.jpg", "memory://pile/no*.jpg"])
def test_a_glob_that_matches_nothing_is_an_error_and_leaves_nothing(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaggingError, match=r"^[^ ]*\*\.jpg: matches nothing$"):
        tag_photos([place], "tags.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(TaggingError, match="photoz: no such file or folder"):
        tag_photos([str(tmp_path / "photoz")], tmp_path / "tags.csv")
    assert list(tmp_path.iterdir()) == []


def test_lists(tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_bytes("\ufeff사진/꽃.jpg\r\n\n* .jpg\n".encode() + b"\xb2\xc9.jpg\ns3://bucket/a.jpg")
    expected = ["사진/꽃.jpg", "* .jpg", "\udcb2\udcc9.jpg", "s3://bucket/a.jpg"]
    assert list(list_photos([f"@{tmp_path / 'list.txt'}"])) == expected
    (tmp_path / "list.txt").write_text("사진/꽃.jpg\r\n\nb.jpg", encoding="utf-16")  # as PowerShell's > writes it
    assert list(list_photos([f"@{tmp_path / 'list.txt'}"])) == ["사진/꽃.jpg", "b.jpg"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"one.jpg\ntwo.jpg\n")))
    assert list(list_photos(["@-", "three.jpg"])) == ["one.jpg", "two.jpg", "three.jpg"]
    with pytest.raises(TaggingError, match=r"@.*absent\.txt: no such file"):
        list(list_photos([f"@{tmp_path / 'absent.txt'}"]))


def test_urls(folder, tmp_path, sample_photos):
    assert list(list_photos([f"file://{folder}"])) == [f"file://{folder}/{name}" for name in BELOW]
    assert list(list_photos([f"file://{folder}/*.jpg"])) == [f"file://{folder}/[1].jpg", f"file://{folder}/b.jpg"]
    memory = fsspec.filesystem("memory")
    for name in BELOW:
        memory.pipe_file(f"/pile/{name}", sample_photos["flower"].read_bytes())
    photos = list(list_photos(["memory://pile", "memory://pile/absent.jpg"]))
    assert photos == [f"memory:///pile/{name}" for name in BELOW] + ["memory://pile/absent.jpg"]
    assert load_image(open_photo(photos[-2])).size == (640, 427)
    with pytest.raises(ImageError, match=r"memory://pile/absent\.jpg: no such file"):
        open_photo(photos[-1])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(sample_photos["flower"], "꽃/1.jpg")
        archive.writestr("꽃/2.jpg", b"none")
    photos = list(list_photos([f"zip://꽃::file://{tmp_path}/all.zip"]))
    assert photos == [f"zip://꽃/{n}.jpg::file://{tmp_path}/all.zip" for n in (1, 2)]
    assert load_image(open_photo(photos[0])).size == (640, 427)
    with pytest.raises(ImageError, match=r"zip://꽃/2\.jpg.*: not a photo"):
        load_image(open_photo(photos[1]))
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(folder, ".")  # as tar -C does
    assert list(list_photos([f"tar://::{tmp_path}/all.tar"])) == [f"tar://./{n}::{tmp_path}/all.tar" for n in BELOW]
    with pytest.raises(TaggingError, match=r"zip://::no\.zip: no such file or folder$"):
        list(list_photos(["zip://::no.zip"]))
    assert list(list_photos(["https://example.org/a.jpg?size=5"])) == ["https://example.org/a.jpg?size=5"]
    with pytest.raises(TaggingError, match=r"nothing://a: .*nothing"):
        list(list_photos(["nothing://a"]))
    with pytest.raises(ImageError, match=r"nothing://a\.jpg: .*nothing"):
        open_photo("nothing://a.jpg")
    shutil.rmtree(folder)
