import io
import zlib
from xml.etree import ElementTree as ET

import pytest

from hashtagger.organize.embed import embed
from hashtagger.organize.sidecar import Description, render

SAID = Description(
    tags=("강아지", "산책"),
    top="해시태그",
    caption='오늘 <산책> & "간식"\x00\n🐶',
    taken_at="2021-04-01T12:00:00+09:00",
    permalink="https://www.instagram.com/p/abc/?a=1&b=2",
    place="서울숲",
)
NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}


def said(packet, name):
    return [item.text for item in ET.fromstring(packet).iterfind(f".//{name}//rdf:li", NAMES)]


def test_a_sidecar_says_what_the_post_says():
    packet = render(SAID)
    assert said(packet, "dc:subject") == ["강아지", "산책"]
    assert said(packet, "lr:hierarchicalSubject") == ["해시태그|강아지", "해시태그|산책"]
    assert said(packet, "digiKam:TagsList") == ["해시태그/강아지", "해시태그/산책"]
    assert said(packet, "dc:description") == ['오늘 <산책> & "간식"\n🐶']
    root = ET.fromstring(packet)
    for name in ("xmp:CreateDate", "exif:DateTimeOriginal", "photoshop:DateCreated"):
        assert root.findtext(f".//{name}", namespaces=NAMES) == SAID.taken_at
    assert root.findtext(".//dc:source", namespaces=NAMES) == SAID.permalink
    assert root.findtext(".//Iptc4xmpCore:Location", namespaces=NAMES) == "서울숲"


@pytest.mark.parametrize("description", [SAID, Description(("<a>&",), '"위"'), Description((), "위", "글")])
def test_a_new_packet_says_what_is_added_to_an_empty_one(description):
    empty = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'

    def all_of(packet):
        return [(part.tag, (part.text or "").strip(), part.attrib) for part in ET.fromstring(packet).iter()]

    assert all_of(render(description)) == all_of(render(description, empty))


def test_what_is_not_known_is_not_said():
    packet = render(Description((), "해시태그"))
    assert b"dc:" not in packet.replace(b"xmlns:dc:", b"")
    assert b"CreateDate" not in packet


def test_what_a_packet_says_already_stays():
    mine = render(Description(("고양이", "강아지"), "해시태그", "내 설명", "2020-01-01T00:00:00+09:00"))
    rated = mine.replace(b'rdf:about=""', b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"')
    packet = render(SAID, rated)
    assert said(packet, "dc:subject") == ["고양이", "강아지", "산책"]
    assert said(packet, "dc:description") == ["내 설명"]
    assert b'Rating="5"' in packet
    assert packet.count(b"CreateDate>") == 2
    assert b"2021-04-01" not in packet


def read_xmp(data):
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
        return found, image.tobytes(), image.size


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", "comment": b"hello"}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
    ],
)
def test_embedding_leaves_every_pixel(photo, form, options):
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(photo(3))).save(out, form, **options)
    plain = out.getvalue()
    tagged = embed(plain, SAID)
    found, pixels, size = read_xmp(tagged)
    assert said(found.strip(b"\0"), "dc:subject") == ["강아지", "산책"]
    assert (pixels, size) == read_xmp(plain)[1:]
    again = embed(tagged, Description(("꽃",), "해시태그"))
    assert said(read_xmp(again)[0], "dc:subject") == ["강아지", "산책", "꽃"]
    assert read_xmp(again)[1] == pixels


def test_transparency_survives_embedding(photo):
    from PIL import Image

    out = io.BytesIO()
    image = Image.open(io.BytesIO(photo(3))).convert("RGBA")
    image.putalpha(100)
    image.save(out, "WEBP", lossless=True)
    with Image.open(io.BytesIO(embed(out.getvalue(), SAID))) as tagged:
        assert tagged.mode == "RGBA"
        assert tagged.getpixel((5, 5))[3] == 100


def test_a_png_stays_valid(photo):
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(photo(3))).save(out, "PNG")
    tagged = embed(out.getvalue(), SAID)
    position = 8
    while position < len(tagged):
        length = int.from_bytes(tagged[position : position + 4], "big")
        body = tagged[position + 4 : position + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(tagged[position + 8 + length : position + 12 + length], "big")
        position += 12 + length
    assert position == len(tagged)


@pytest.mark.parametrize(
    "damaged", [b"", b"GIF89a...", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0", b"RIFF\0\0\0\0WEBPVP8 "]
)
def test_what_cannot_be_tagged_comes_back_as_it_is(damaged):
    assert embed(damaged, SAID) == damaged


@pytest.mark.parametrize(
    "existing",
    [
        b'<?xml version="1.0" encoding="euc-kr"?><x/>',
        b'<?xml version="1.0" encoding="nonesuch"?><x/>',
        b"<a>" * 9000 + b"</a>" * 9000,
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'.encode("utf-16"),
    ],
)
def test_xmp_that_cannot_be_read_stays(photo, existing):
    body = b"http://ns.adobe.com/xap/1.0/\0" + existing
    tagged = photo(1)[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + photo(1)[2:]
    assert embed(tagged, SAID) == tagged


def test_a_caption_too_long_for_a_jpeg_leaves_it_as_it_is(photo):
    long = Description((), "해시태그", "가" * 30_000)
    assert embed(photo(1), long) == photo(1)


def test_raw_and_heic_have_sidecars_and_embedding_says_that_it_left_them(photo, tmp_path):
    from hashtagger.organize import organize

    source = tmp_path / "source"
    source.mkdir()
    contents = {
        "IMG_1.CR2": b"II*\0 raw", "IMG_2.jpg": photo(1), "IMG_2.DNG": b"II*\0 raw too", "IMG_2.srt": b"1",
        "IMG_3.heic": b"\0\0\0\x18ftypheic", "IMG_4.mov": b"\0\0\0\x14ftypqt  ",
    }  # fmt: skip
    for name, content in contents.items():
        (source / name).write_bytes(content)
    report = organize(source, tmp_path / "sorted", lang="en", by="date", tag_untagged=False, embed=True)
    there = {path.name: path.read_bytes() for path in (tmp_path / "sorted" / "date").rglob("*.*")}
    described = {"IMG_1.CR2", "IMG_2.jpg", "IMG_2.DNG", "IMG_3.heic", "IMG_4.mov"}
    assert set(there) == set(contents) | {f"{name}.xmp" for name in described}
    assert {name for name, content in contents.items() if there[name] != content} == {"IMG_2.jpg"}
    assert [problem.cause[:7] for problem in report.problems if problem.location == str(tmp_path / "sorted")] == [
        "4 files"
    ]


def test_embedding_is_for_copies_only(album, tmp_path, picture):
    from hashtagger.organize import organize, undo, verify

    before = picture(album.root)
    organize(album, tmp_path / "sorted", lang="ko", tag_untagged=False, embed=True)
    tagged = (tmp_path / "sorted/날짜/2021/04/IMG_0.jpg").read_bytes()
    # The same photo was posted twice, so it has the tags of both posts.
    assert said(read_xmp(tagged)[0], "dc:subject") == ["강아지", "산책", "꽃"]
    assert picture(album.root) == before
    assert verify(tmp_path / "sorted").problems == []
    assert organize(album, tmp_path / "sorted", lang="ko", tag_untagged=False, embed=True).new_files == 0
    undo(tmp_path / "sorted")
    assert not (tmp_path / "sorted").exists()


@pytest.mark.parametrize("embed_again", [True, False])
def test_photos_that_keep_the_words_of_before_inside_are_told(album, tmp_path, embed_again):
    from hashtagger.organize import organize

    def told(**options):
        report = organize(album, tmp_path / "sorted", lang="ko", tag_untagged=False, **options)
        return [problem.cause for problem in report.problems if "inside" in problem.cause]

    photo = tmp_path / "sorted/날짜/2021/05/IMG_1.jpg"
    beside = photo.with_name(photo.name + ".xmp")
    assert told(embed=True) == []
    before, old = photo.read_bytes(), beside.read_bytes()
    beside.unlink()
    assert told(embed=embed_again) == []
    assert beside.read_bytes() == old, "brought back as it was"
    file, when, tags, _caption = album.rows[3]
    album.rows[3] = (file, when, tags, "고친 글")
    (cause,) = told(embed=embed_again)
    assert cause.startswith("1 photos")
    assert said(beside.read_bytes(), "dc:description") == ["고친 글"]
    assert photo.read_bytes() == before
    assert told(embed=embed_again) == []


@pytest.mark.parametrize("embed_again", [True, False])
def test_photos_that_come_again_hold_no_words_of_before(album, tmp_path, embed_again):
    from hashtagger.organize import organize

    organize(album, tmp_path / "sorted", lang="ko", tag_untagged=False, embed=True)
    photo = tmp_path / "sorted/날짜/2021/05/IMG_1.jpg"
    for path in (tmp_path / "sorted").rglob("IMG_1.jpg"):
        if path.samefile(photo) and path != photo:
            path.unlink()
    photo.unlink()
    file, when, tags, _caption = album.rows[3]
    album.rows[3] = (file, when, tags, "고친 글")
    report = organize(album, tmp_path / "sorted", lang="ko", tag_untagged=False, embed=embed_again)
    assert [problem for problem in report.problems if "inside" in problem.cause] == []
    packet = read_xmp(photo.read_bytes())[0]
    assert (said(packet, "dc:description") if packet else []) == (["고친 글"] if embed_again else [])
