import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.posts import archive
from hashtagger.posts.post import Media


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("media/a.jpg", b"one" * 1000)
        out.writestr("media/b.jpg", b"two")
    return path


def test_member_is_read_in_place_and_media_opens_it(packed):
    media = Media("a.jpg", f"{packed}!media/a.jpg", archive=packed, member="media/a.jpg")
    with media.open() as first, archive.open_member(packed, "media/b.jpg") as second:
        assert first.read(3) == b"one"
        assert second.read() == b"two"
        assert first.read() == b"one" * 999


def test_media_lies_on_disk_or_in_an_archive(packed):
    for where in ({}, {"archive": packed}, {"member": "media/a.jpg"}):
        with pytest.raises(ValueError, match=r"^a\.jpg: give a path, or an archive and its member$"):
            Media("a.jpg", "a.jpg", **where)


def test_archive_stays_open_until_it_changes(packed):
    assert archive.open_archive(packed) is archive.open_archive(packed)
    with zipfile.ZipFile(packed, "a") as out:
        out.writestr("media/c.jpg", b"three")
    with archive.open_member(packed, "media/c.jpg") as stream:
        assert stream.read() == b"three"


def test_missing_member_and_archive_are_os_errors(packed, tmp_path):
    with pytest.raises(FileNotFoundError):
        archive.open_member(packed, "media/none.jpg")
    with pytest.raises(FileNotFoundError):
        archive.open_member(tmp_path / "none.zip", "a")


def test_bomb_is_refused_before_it_unpacks(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("bomb.jpg", bytes(1 << 20))
        out.getinfo("bomb.jpg").file_size = 300 << 20  # claimed in the central directory only
    with pytest.raises(zipfile.BadZipFile, match="claims to unpack"):
        archive.open_member(path, "bomb.jpg")


def test_encrypted_member_says_so(packed):
    data = bytearray(packed.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature) + offset
        data[start : start + 2] = struct.pack("<H", 1)
    packed.write_bytes(data)
    with pytest.raises(zipfile.BadZipFile, match="encrypted"):
        archive.open_member(packed, "media/a.jpg")


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_flipped_byte_is_an_error_of_two_kinds_or_harmless(tmp_path_factory, position, value):
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("media/a.jpg", bytes(range(256)) * 8)
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(data)
    try:
        with archive.open_member(path, "media/a.jpg") as stream:
            assert stream.read() == bytes(range(256)) * 8
    except (OSError, zipfile.BadZipFile):
        pass


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "/etc/passwd", "media/../../a", "C:/a", "c:\\a", "\\\\server\\a", "", ".", "a\0b", "https://x/y"],
)
def test_climbing_names_are_refused(name):
    assert archive.safe_name(name) is None


@given(st.text())
def test_safe_names_stay_below(name):
    safe = archive.safe_name(name)
    assert safe is None or (not safe.startswith("/") and ".." not in safe.split("/"))
