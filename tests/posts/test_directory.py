"""Directory reads the same from an archive as zipfile, in a fraction of the memory."""

import random
import sys
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagger.posts import archive
from hashtagger.posts.directory import Directory

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=30)
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def agrees_with_zipfile(path) -> None:
    ours = Directory(path)
    with zipfile.ZipFile(path) as theirs:
        assert list(ours.names()) == [info.filename for info in theirs.infolist()]
        for name in {unicodedata.normalize("NFC", name): name for name in theirs.namelist()}.values():
            info, found = theirs.getinfo(name), ours.find(name)
            assert (found.size, found.packed, found.checksum, found.method) == (
                info.file_size, info.compress_size, info.CRC, info.compress_type,
            )  # fmt: skip
            assert found.modified() == info.date_time
            with archive.open_member(path, name) as stream:
                assert stream.read() == theirs.read(info)


@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=200), st.sampled_from(METHODS)), max_size=5),
    st.binary(max_size=40),
    st.sampled_from([b"", b"#!/bin/sh\n"]),
    st.booleans(),
)
def test_any_archive(tmp_path_factory, files, comment, before, large):
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    with path.open("wb") as out, pytest.MonkeyPatch.context() as patch:
        out.write(before)
        if large:  # the ZIP64 records of an archive over 4 GB, in a small one
            patch.setattr(zipfile, "ZIP64_LIMIT", 20)
            patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
        with zipfile.ZipFile(out, "w") as packed:
            packed.comment = comment.replace(b"PK\x05\x06", b"")
            names = {unicodedata.normalize("NFC", name): (name, *rest) for name, *rest in files}
            for name, content, method in names.values():
                info = zipfile.ZipInfo(name, (2023, 4, 20, 23, 13, 20))
                info.compress_type = method
                with packed.open(info, "w", force_zip64=large) as stream:
                    stream.write(content)
    agrees_with_zipfile(path)


def test_of_two_files_of_one_name_the_later_one_counts(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            out.writestr("a.jpg", b"2")
    with archive.open_member(path, "a.jpg") as stream:
        assert stream.read() == b"2"


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "cp437"])
def test_names_that_are_not_flagged_as_unicode(tmp_path, encoding):
    name = {"cp437": "café.jpg"}.get(encoding, "강아지.jpg")
    raw = name.encode(encoding)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("x" * len(raw), b"1")
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    assert list(Directory(path).names()) == [name]
    assert Directory(path).find(name).size == 1


def test_decomposed_korean_and_backslashes_are_found(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(unicodedata.normalize("NFD", "사진/강아지.jpg"), b"1")
        out.writestr("media\\posts\\a.jpg", b"2")
    ours = Directory(path)
    assert ours.find("사진/강아지.jpg").size == 1
    assert ours.find("media/posts/a.jpg").size == 1
    assert ours.find("media/posts/b.jpg") is None


@pytest.mark.parametrize("damage", ["cut", "cut end", "entry", "end", "no zip", "empty", "sizes"])
def test_damage_is_said(tmp_path, damage):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.jpg", b"1")
    data = path.read_bytes()
    path.write_bytes({
        "cut": data[:-30], "cut end": data[:-9], "entry": data.replace(b"PK\x01\x02", b"PK\x01\x03"),
        "end": data[:-22], "no zip": b"x" * 99,
        "empty": b"", "sizes": data[:-10] + b"\xff" * 4 + data[-6:],
    }[damage])  # fmt: skip
    with pytest.raises(zipfile.BadZipFile, match="table of contents"):
        Directory(path)


def test_part_of_an_archive_over_several_disks_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.jpg", b"1")
    data = bytearray(path.read_bytes())
    data[-18:-14] = b"\x01\0\x01\0"
    path.write_bytes(data)
    with pytest.raises(zipfile.BadZipFile, match="several disks"):
        Directory(path)


def test_several_threads_read_one_archive(tmp_path):
    path = tmp_path / "x.zip"
    chance = random.Random(0)
    files = {f"media/{number}.jpg": chance.randbytes(3000) for number in range(200)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)

    def same(name: str) -> bool:
        with archive.open_member(path, name) as stream:
            return stream.read() == files[name]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, list(files) * 5))


def test_many_files_take_little_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        for number in range(5_000):
            out.writestr(f"media/posts/202304/{number}_{number * 7}_n_179{number:014d}.jpg", b"")
    tracemalloc.start()
    held = Directory(path)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken / 5_000 < 40, f"{taken / 5_000:.0f} bytes a file on Python {sys.version}"
    assert held.find("media/posts/202304/4999_34993_n_17900000000004999.jpg") is not None
