import os
import struct
import sys
import unicodedata
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hashtagger.posts import open_source

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/" exif:DateTimeOriginal="2019-05-06T07:08:09+00:00">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">바다에서 #노을</rdf:li></rdf:Alt></dc:description>
{subject}<lr:hierarchicalSubject><rdf:Bag><rdf:li>여행|제주</rdf:li></rdf:Bag></lr:hierarchicalSubject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
SUBJECT = "<dc:subject><rdf:Bag><rdf:li>#강아지</rdf:li><rdf:li> 산책 </rdf:li></rdf:Bag></dc:subject>"


def photo(
    path: Path, *, taken: str | None = None, offset: str | None = None, changed: str = "", mtime: float = 1e9, **save
) -> Path:
    exif = Image.Exif()
    if changed:
        exif[0x0132] = changed
    if taken is not None:
        exif.get_ifd(0x8769).update({0x9003: taken, **({0x9011: offset} if offset else {})})
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, exif=exif.tobytes(), **save)
    os.utime(path, (mtime, mtime))
    return path


def file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def read(folder: Path, **options):
    source = open_source(folder, **options)
    return list(source.posts()), source.problems


def test_exif_time_is_in_the_users_zone_unless_it_says_otherwise(tmp_path):
    photo(tmp_path / "a.jpg", taken="2023:04:20 23:13:20")
    photo(tmp_path / "b.jpg", taken="2023:04:20 10:13:20", offset="-04:00")
    photo(tmp_path / "c.png", taken="2023:04:20 23:13:20")
    posts, problems = read(tmp_path)
    assert {post.taken_at.isoformat() for post in posts} == {"2023-04-20T23:13:20+09:00"}
    assert problems == []
    assert read(tmp_path, timezone="Europe/Paris")[0][0].taken_at.isoformat() == "2023-04-20T23:13:20+02:00"


def test_times_are_taken_from_exif_then_xmp_then_name_then_file(tmp_path):
    photo(tmp_path / "20200101_000000_a.jpg", taken="2023:04:20 23:13:20", xmp=XMP.format(subject="").encode())
    photo(tmp_path / "20200101_000000_b.jpg", xmp=XMP.format(subject="").encode())
    photo(tmp_path / "20200101_000000_c.jpg", taken="0000:00:00 00:00:00")
    photo(tmp_path / "d.jpg", mtime=datetime(2022, 2, 28, 15, 30, tzinfo=timezone.utc).timestamp())
    posts, __ = read(tmp_path)
    assert [(post.taken_at.isoformat(), post.time_is_guess) for post in posts] == [
        ("2023-04-20T23:13:20+09:00", False),
        ("2019-05-06T16:08:09+09:00", False),
        ("2020-01-01T00:00:00+09:00", False),
        ("2022-03-01T00:30:00+09:00", True),
    ]


def test_time_of_the_last_change_is_a_guess_and_comes_before_that_of_the_file(tmp_path):
    photo(tmp_path / "20200101_000000.jpg", changed="2023:04:20 23:13:20")
    photo(tmp_path / "scan.jpg", changed="2023:04:20 23:13:20")
    posts, __ = read(tmp_path)
    assert [(post.taken_at.isoformat(), post.time_is_guess) for post in posts] == [
        ("2020-01-01T00:00:00+09:00", False),
        ("2023-04-20T23:13:20+09:00", True),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_xmp_in_every_encoding_that_it_may_have(tmp_path, encoding):
    photo(tmp_path / "a.jpg")
    file(tmp_path / "a.xmp", XMP.format(subject=SUBJECT).encode(encoding))
    posts, problems = read(tmp_path)
    assert posts[0].tags == ("강아지", "산책", "노을")
    assert problems == []


@pytest.mark.parametrize(
    "properties", ['dc:subject="강아지" dc:description="글"/>', "><dc:subject>강아지</dc:subject>{}</rdf:Description>"]
)
def test_single_values_of_xmp_without_a_list(tmp_path, properties):
    start = XMP[: XMP.index("<rdf:Description")] + '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" '
    written = start + properties.format("<dc:description>글</dc:description>") + "</rdf:RDF></x:xmpmeta>"
    photo(tmp_path / "a.jpg")
    file(tmp_path / "a.xmp", written.encode())
    posts, problems = read(tmp_path)
    assert [(post.tags, post.caption) for post in posts] == [(("강아지",), "글")]
    assert problems == []


def test_tags_and_words_of_xmp_in_the_photo_and_beside_it(tmp_path):
    photo(tmp_path / "in.jpg", xmp=XMP.format(subject=SUBJECT).encode())
    photo(tmp_path / "beside.jpg")
    file(tmp_path / "beside.xmp", XMP.format(subject=SUBJECT).encode())
    photo(tmp_path / "after.JPG")
    file(tmp_path / "after.JPG.xmp", XMP.format(subject="").encode())
    posts, problems = read(tmp_path)
    assert {post.media[0].name: post.tags for post in posts} == {
        "in.jpg": ("강아지", "산책", "노을"),
        "beside.jpg": ("강아지", "산책", "노을"),
        "after.JPG": ("제주", "노을"),
    }
    assert {post.caption for post in posts} == {"바다에서 #노을"}
    assert problems == []


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("utf-8", ("강아지", "산책")), ("cp949", ("강아지", "산책")), ("latin-1", ("café", "Überraschung"))],
)
def test_iptc_keywords(tmp_path, encoding, words):
    def record(number: int, text: str) -> bytes:
        raw = text.encode(encoding)
        return struct.pack(">BBBH", 0x1C, 2, number, len(raw)) + raw

    iptc = record(25, words[0]) + record(25, words[1]) + record(120, words[0])
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    segment = b"Photoshop 3.0\0" + block
    path = photo(tmp_path / "a.jpg")
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    posts, __ = read(tmp_path)
    assert (posts[0].tags, posts[0].caption) == (words, words[0])


def test_files_of_one_name_are_one_post(tmp_path):
    file(tmp_path / "IMG_1.HEIC", b"\0\0\0\x18ftypheic" + exif_block("2023:04:20 23:13:20"))
    file(tmp_path / "IMG_1.MOV", b"\0\0\0\x14ftypqt  ")
    file(tmp_path / "IMG_1.AAE")
    photo(tmp_path / "IMG_2.JPG", taken="2023:04:20 23:13:20")
    file(tmp_path / "IMG_2.CR2", b"II*\0")
    file(tmp_path / "img_2.xmp", XMP.format(subject=SUBJECT).encode())
    file(tmp_path / "20230420_231320.dng", b"II*\0\x08\0\0\0\0\0")
    posts, __ = read(tmp_path)
    kinds = {post.media[0].name: [media.kind for media in post.media] for post in posts}
    assert kinds == {
        "IMG_1.HEIC": ["photo", "video", "other"],
        "IMG_2.JPG": ["photo", "other", "other"],
        "20230420_231320.dng": ["other"],
    }
    assert {post.taken_at.isoformat() for post in posts} == {"2023-04-20T23:13:20+09:00"}
    assert not any(post.time_is_guess for post in posts)


def film(seconds: int, *, version: int = 0, media_first: bool = True, large: bool = False) -> bytes:
    def box(name: bytes, body: bytes) -> bytes:
        if large:
            return struct.pack(">I4sQ", 1, name, 16 + len(body)) + body
        return struct.pack(">I4s", 8 + len(body), name) + body

    times = struct.pack(">QQ" if version else ">II", seconds, seconds)
    moov = box(b"moov", box(b"udta", b"x") + box(b"mvhd", bytes([version, 0, 0, 0]) + times + bytes(80)))
    mdat = box(b"mdat", bytes(3000))
    return box(b"ftyp", b"isom\0\0\0\0") + (mdat + moov if media_first else moov + mdat)


NOON_1904 = 1_682_000_000 + 2_082_844_800


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("media_first", [True, False])
@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("name", ["MVI_1.MOV", "clip.mp4", "IMG_20200101_000000.m4v", "noextension"])
def test_films_are_dated_by_their_header(tmp_path, version, media_first, large, name):
    file(tmp_path / name, film(NOON_1904, version=version, media_first=media_first, large=large))
    photo(tmp_path / "a.jpg", taken="2023:04:20 23:13:20")
    posts, problems = read(tmp_path)
    assert {post.taken_at.isoformat() for post in posts} == {"2023-04-20T23:13:20+09:00"}
    assert not any(post.time_is_guess for post in posts)
    assert problems == []


@pytest.mark.parametrize(
    ("seconds", "version"), [(0, 0), (1, 0), (2_082_844_800, 0), (0, 1), (2**33, 1), (2**64 - 1, 1)]
)
def test_films_without_a_time_that_can_be_true_are_dated_by_name(tmp_path, seconds, version):
    file(tmp_path / "VID_20230420_231320.mp4", film(seconds, version=version))
    posts, problems = read(tmp_path)
    assert [post.taken_at.isoformat() for post in posts] == ["2023-04-20T23:13:20+09:00"]
    assert problems == []


@given(st.data())
def test_damaged_films_are_carried_along(tmp_path_factory, data):
    whole = film(NOON_1904, large=data.draw(st.booleans()))
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for __ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, min(len(content) - 1, 60)))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("films")
    file(root / "a.mp4", bytes(content))
    assert len(read(root)[0]) == 1


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_real_heic_and_avif(tmp_path, form):
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: "2023:04:20 10:13:20", 0x9011: "-04:00"})
    path = tmp_path / f"a.{'heic' if form == 'HEIF' else 'avif'}"
    try:
        Image.new("RGB", (64, 64)).save(path, form, exif=exif.tobytes())
    except KeyError:
        pytest.skip(f"this Pillow writes no {form}")
    posts, problems = read(tmp_path)
    assert [post.taken_at.isoformat() for post in posts] == ["2023-04-20T23:13:20+09:00"]
    assert problems == []


def test_photo_of_200_megapixels_is_dated(tmp_path):
    content = bytearray(photo(tmp_path / "a.jpg", taken="2023:04:20 23:13:20").read_bytes())
    size = content.index(b"\xff\xc0") + 5
    content[size : size + 4] = struct.pack(">HH", 12240, 16320)
    file(tmp_path / "a.jpg", bytes(content))
    posts, problems = read(tmp_path)
    assert [(post.taken_at.isoformat(), post.time_is_guess) for post in posts] == [("2023-04-20T23:13:20+09:00", False)]
    assert problems == []


def test_heic_under_the_name_of_a_jpeg_is_dated(tmp_path):
    file(tmp_path / "IMG_1.jpg", b"\0\0\0\x18ftypheic" + exif_block("2023:04:20 23:13:20"))
    posts, problems = read(tmp_path)
    assert [(post.taken_at.isoformat(), post.time_is_guess) for post in posts] == [("2023-04-20T23:13:20+09:00", False)]
    assert problems == []


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.nef", b"II*\0"),
        ("a.orf", b"IIRO"),
        ("a.rw2", b"IIU\0"),
        ("a.cr3", b"\0\0\0\x18ftypcrx junk"),
        ("a.raf", b"FUJIFILM"),
    ],
)
def test_raw_of_several_makers(tmp_path, name, start):
    exif = Image.Exif()
    exif.endian = "<"
    if name == "a.cr3":  # its Exif IFD is a TIFF of its own
        exif[0x9003] = "2023:04:20 23:13:20"
    else:
        exif.get_ifd(0x8769)[0x9003] = "2023:04:20 23:13:20"
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")
    assert tiff.startswith(b"II*\0")
    preview = b"Exif\0\0" if name == "a.raf" else b""
    content = start + tiff[4:] if len(start) == 4 else start + preview + tiff
    file(tmp_path / name, content)
    posts, problems = read(tmp_path)
    assert [post.taken_at.isoformat() for post in posts] == ["2023-04-20T23:13:20+09:00"]
    assert problems == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_text_beside_a_photo_is_its_caption(tmp_path, encoding):
    photo(tmp_path / "CrAbC_1.jpg")
    file(tmp_path / "CrAbC_1.txt", "첫 줄\r\n#산책\r\n".encode(encoding))
    file(tmp_path / "notes.txt")
    posts, problems = read(tmp_path)
    assert [(post.caption, post.tags) for post in posts] == [("첫 줄\n#산책", ("산책",))]
    assert [Path(problem.location).name for problem in problems] == ["notes.txt"]


def test_composed_and_decomposed_names_belong_together(tmp_path):
    photo(tmp_path / unicodedata.normalize("NFD", "강아지.jpg"))
    file(tmp_path / unicodedata.normalize("NFC", "강아지.xmp"), XMP.format(subject=SUBJECT).encode())
    posts, problems = read(tmp_path)
    assert [len(post.media) for post in posts] == [2]
    assert problems == []


def test_xmp_date_without_a_time(tmp_path):
    photo(tmp_path / "a.jpg")
    file(tmp_path / "a.xmp", XMP.format(subject="").replace("2019-05-06T07:08:09+00:00", "2019-05-06").encode())
    assert read(tmp_path)[0][0].taken_at.isoformat() == "2019-05-06T00:00:00+09:00"


def exif_block(taken: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    return b" some boxes " + exif.tobytes() + b" more boxes"


def test_hidden_files_and_junk_are_passed_over_in_silence(tmp_path):
    photo(tmp_path / "a.jpg")
    for name in (".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", ".hidden/b.jpg", "__MACOSX/c.jpg", "@eaDir/d.jpg"):
        file(tmp_path / name)
    posts, problems = read(tmp_path)
    assert [len(post.media) for post in posts] == [1]
    assert problems == []


def test_what_is_no_media_is_named_and_left(tmp_path):
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "noextension", format="JPEG")
    for name in ("memo.txt", "archive.zip", "lonely.xmp", "odd"):
        file(tmp_path / name)
    posts, problems = read(tmp_path)
    assert [post.media[0].name for post in posts] == ["a.jpg", "noextension.jpg"]
    assert {Path(problem.location).name for problem in problems} == {"memo.txt", "archive.zip", "lonely.xmp", "odd"}


def test_damaged_photos_are_named_and_still_carried_along(tmp_path):
    file(tmp_path / "20230420_231320.jpg", b"")
    file(tmp_path / "cut.jpg", photo(tmp_path / "whole.jpg", taken="2023:04:20 23:13:20").read_bytes()[:30])
    file(tmp_path / "empty.heic", b"")
    posts, problems = read(tmp_path)
    assert {media.name for post in posts for media in post.media} == {
        "20230420_231320.jpg",
        "cut.jpg",
        "whole.jpg",
        "empty.heic",
    }
    assert {Path(problem.location).name for problem in problems} == {"20230420_231320.jpg", "cut.jpg", "empty.heic"}
    assert posts[0].taken_at.isoformat() == "2023-04-20T23:13:20+09:00"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_sidecar_with_entities_is_not_expanded(tmp_path, encoding):
    photo(tmp_path / "a.jpg")
    file(tmp_path / "a.xmp", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'.encode(encoding))
    posts, problems = read(tmp_path)
    assert len(posts) == 1
    assert "damaged" in problems[0].cause


def test_damaged_xmp_does_not_hide_exif(tmp_path):
    photo(tmp_path / "a.jpg", taken="2023:04:20 23:13:20", xmp=b"<x:xmpmeta")
    file(tmp_path / "b.heic", b"\0\0\0\x18ftypheic" + exif_block("2023:04:20 23:13:20") + b"<x:xmpmeta </x:xmpmeta>")
    posts, problems = read(tmp_path)
    assert [post.taken_at.isoformat() for post in posts] == ["2023-04-20T23:13:20+09:00"] * 2
    assert ["damaged" in problem.cause for problem in problems] == [True] * 2


def test_exif_that_imagemagick_wrote_into_a_png(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:04:20 23:13:20"
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=text)
    assert [post.taken_at.isoformat() for post in read(tmp_path)[0]] == ["2023-04-20T23:13:20+09:00"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_not_followed_in_circles(tmp_path):
    photo(tmp_path / "a" / "a.jpg")
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "a" / "a.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "none.jpg")
    posts, problems = read(tmp_path)
    assert sorted(post.media[0].name for post in posts) == ["a.jpg", "linked.jpg"]
    assert {Path(problem.location).name for problem in problems} == {"round", "broken.jpg"}


def test_real_photos(sample_photos):
    posts, problems = read(sample_photos["flower"].parent)
    assert {post.media[0].name for post in posts} >= {"flower.jpg", "china.jpg"}
    assert all(post.taken_at.tzinfo is not None for post in posts)
    assert all("flower" not in problem.location for problem in problems)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
def test_names_in_the_bytes_of_korean_windows_come_out_in_korean(tmp_path):
    for raw in ("강아지.jpg".encode("cp949"), b"\xff\xfe.jpg", "메모.txt".encode("cp949")):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw)).write_bytes(b"\xff\xd8\xff")
    posts, problems = read(tmp_path)
    assert "강아지.jpg" in {post.media[0].name for post in posts}
    assert len({post.media[0].location for post in posts}) == 2
    for post in posts:
        (post.media[0].name + post.media[0].location).encode()
        post.media[0].open().close()
    assert len(problems) == 3
    for problem in problems:
        (problem.location + problem.cause).encode()
