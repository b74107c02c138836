"""Read the metadata of photos, videos and sidecars: EXIF, XMP, IPTC and video headers."""

import io
import mmap
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from hashtagger.errors import damage_of
from hashtagger.i18n import _
from hashtagger.posts import sniff
from hashtagger.posts.dates import from_text
from hashtagger.posts.film import creation_time
from hashtagger.posts.mojibake import decoded

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

_EXIF_IFD = 0x8769
_DATE_TIME, _OFFSET = 0x0132, 0x9010
_DATE_TIME_ORIGINAL, _OFFSET_ORIGINAL = 0x9003, 0x9011
_DATE_TIME_DIGITIZED, _OFFSET_DIGITIZED = 0x9004, 0x9012
_XP_KEYWORDS = 0x9C9E
_XMP_TAG = 700

_LARGEST_SIDECAR = 8 << 20

_CONTAINERS = sniff.RAW | {"heic", "heif", "hif", "avif", "jxl"}
_EXIF_BLOCK = re.compile(rb"Exif\0\0(?=II\*\0|MM\0\*)|(?=II\*\0\x08\0\0\0|MM\0\*\0\0\0\x08)")
_UNREADABLE = (SyntaxError, struct.error, ValueError, LookupError, TypeError, OSError, OverflowError)
"""What Pillow raises for data that only looks like EXIF."""
_MOST_BLOCKS, _BLOCK = 8, 1 << 18
_ODD_TIFF = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0", b"MMOR": b"MM\0*"}
"""Signatures that Olympus and Panasonic write into otherwise regular TIFF files."""

_UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|<\0|\0<\0")
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP_DATES = (
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
    "{http://ns.adobe.com/xap/1.0/}CreateDate",
)
_HIERARCHIES = (
    ("{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject", "|"),
    ("{http://www.digikam.org/ns/1.0/}TagsList", "/"),
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one file.

    Attributes:
        exif_time: Time of capture from EXIF or from a video's header.
        xmp_time: Time of capture from XMP.
        changed: Time of the last change from EXIF, which is all that scanners and some old phones write.
        keywords: Keywords, without ``#``.
        caption: Description.
        damage: Why the file could not be read, or not as its type; ``""`` for an intact file.
    """

    exif_time: datetime | None = None
    xmp_time: datetime | None = None
    changed: datetime | None = None
    keywords: tuple[str, ...] = ()
    caption: str = ""
    damage: str = ""


def read_photo(path: Path, zone: tzinfo) -> Metadata:
    """Read a photo's embedded metadata, including RAW and HEIC, without decoding the image."""
    try:
        if sniff.extension(path.name) in _CONTAINERS:
            return _read_container(path, zone)
        return _read_image(path, zone) or _read_container(path, zone)
    except Exception as error:
        # Pillow raises almost anything for damaged metadata; the photo is kept regardless.
        unknown = type(error).__name__ == "UnidentifiedImageError"  # its message repeats the path
        return Metadata(damage=damage_of(ValueError(_("not a photo")) if unknown else error))


def read_film(path: Path, zone: tzinfo) -> Metadata:
    """Read when a video was taken, from its header."""
    try:
        with path.open("rb") as stream:
            return Metadata(creation_time(stream, zone))
    except OSError as error:
        return Metadata(damage=damage_of(error))


def read_sidecar(path: Path, zone: tzinfo) -> Metadata:
    """Read an XMP sidecar."""
    try:
        with path.open("rb") as stream:
            return _from_xmp(stream.read(_LARGEST_SIDECAR), zone)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        return Metadata(damage=damage_of(error))


def parse_xmp(data: bytes) -> ElementTree.Element:
    """Parse XMP.

    Raises:
        xml.etree.ElementTree.ParseError: The data is not XML.
        ValueError: It has a document type declaration, whose entities could expand a short file enormously.
    """
    return ElementTree.fromstring(data, ElementTree.XMLParser(target=_WithoutDocumentType()))


class _WithoutDocumentType(ElementTree.TreeBuilder):
    def doctype(self, *_names: str | None) -> None:
        raise ValueError(_("XMP with a document type is not read"))


def merged(parts: Iterable[Metadata]) -> Metadata:
    """Merge the metadata of one post's files or of a file's parts: the first of each, and all keywords, each once."""
    known = list(parts)
    return Metadata(
        next((part.exif_time for part in known if part.exif_time), None),
        next((part.xmp_time for part in known if part.xmp_time), None),
        next((part.changed for part in known if part.changed), None),
        tuple(dict.fromkeys(keyword for part in known for keyword in part.keywords)),
        next((part.caption for part in known if part.caption), ""),
        next((part.damage for part in known if part.damage), ""),
    )


def _read_image(path: Path, zone: tzinfo) -> Metadata | None:
    """Read a format that Pillow knows; ``None`` for one that it does not, and for what it considers too large."""
    from PIL import Image, UnidentifiedImageError
    from PIL.IptcImagePlugin import getiptcinfo

    try:
        opened = Image.open(path)
    except Image.DecompressionBombError:  # photos of phones with 200 megapixels
        return None
    except UnidentifiedImageError:
        with path.open("rb") as stream:
            found = sniff.of_bytes(stream.read(sniff.HEAD))
        if found and found[1] in _CONTAINERS:  # iPhones and messengers also name HEIC .jpg
            return None
        raise
    with opened as image:
        # Each part on its own: one that is damaged does not hide the others.
        return merged([
            _attempt(lambda: _from_exif(_exif_of(image), zone)),
            _attempt(lambda: _from_xmp_block(_xmp_of(image), zone)),
            _attempt(lambda: _from_iptc(getiptcinfo(image) or {})),
        ])  # fmt: skip


def _attempt(read: Callable[[], Metadata]) -> Metadata:
    try:
        return read()
    except Exception as error:  # Pillow raises almost anything for damaged metadata
        return Metadata(damage=damage_of(error))


def _exif_of(image: "Image") -> "Exif":
    from PIL import Image

    # PNG's own method would decode the whole image to look for EXIF after it, where hardly any program writes it.
    return Image.Image.getexif(image)


def _xmp_of(image: "Image") -> bytes:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or _exif_of(image).get(_XMP_TAG) or b""
    return xmp.encode() if isinstance(xmp, str) else xmp


def _read_container(path: Path, zone: tzinfo) -> Metadata:
    """Read a format that Pillow may not know, by searching the file for EXIF and XMP blocks."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"<x:xmpmeta")
        end = data.find(b"</x:xmpmeta>", start) if start >= 0 else -1
        xmp = data[start : end + 12] if end >= 0 else b""
        taken = next((moment for exif in _exif_blocks(data, stream) if (moment := _exif_time(exif, zone))), None)
        return merged([Metadata(taken), _attempt(lambda: _from_xmp_block(xmp, zone))])


def _exif_blocks(data: mmap.mmap, stream: BinaryIO) -> Iterator["Exif"]:
    """Yield the EXIF of a TIFF file or of TIFF data within: HEIC and AVIF items, CR3 boxes, RAF and RW2 previews."""
    from PIL import Image

    exif = Image.Exif()
    with suppress(*_UNREADABLE):
        if data[:4] in (b"II*\0", b"MM\0*"):
            exif.load_from_fp(stream)
            yield exif
        elif data[:4] in _ODD_TIFF:
            exif.load_from_fp(io.BytesIO(_ODD_TIFF[data[:4]] + data[4:_BLOCK]))
            yield exif
    for found in islice(_EXIF_BLOCK.finditer(data), _MOST_BLOCKS):
        exif = Image.Exif()
        with suppress(*_UNREADABLE):
            exif.load(b"Exif\0\0" + data[found.end() : found.end() + _BLOCK])
            yield exif


def _from_exif(exif: "Exif", zone: tzinfo) -> Metadata:
    changed = from_text(_ascii(exif.get(_DATE_TIME)), zone, offset=_ascii(exif.get_ifd(_EXIF_IFD).get(_OFFSET)))
    return Metadata(_exif_time(exif, zone), None, changed, tuple(_plain(_exif_keywords(exif))))


def _exif_time(exif: "Exif", zone: tzinfo) -> datetime | None:
    # In CR3, the Exif IFD is a TIFF of its own.
    details = exif.get_ifd(_EXIF_IFD) or dict(exif)
    for date, offset in ((_DATE_TIME_ORIGINAL, _OFFSET_ORIGINAL), (_DATE_TIME_DIGITIZED, _OFFSET_DIGITIZED)):
        if moment := from_text(_ascii(details.get(date)), zone, offset=_ascii(details.get(offset))):
            return moment
    return None


def _ascii(value: object) -> object:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return text.strip(" \0") if isinstance(text, str) else text


def _exif_keywords(exif: "Exif") -> list[str]:
    value = exif.get(_XP_KEYWORDS)
    return value.decode("utf-16-le", "replace").strip("\0").split(";") if isinstance(value, bytes) else []


def _from_iptc(iptc: dict[tuple[int, int], Any]) -> Metadata:
    # Its marker of the encoding is often wrong or absent.
    def texts(record: int) -> list[str]:
        value = iptc.get((2, record), [])
        return [decoded(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, bytes)]

    return Metadata(keywords=tuple(_plain(texts(25))), caption="".join(texts(120)[:1]).strip("\0"))


def _from_xmp(data: bytes, zone: tzinfo) -> Metadata:
    # In UTF-16, every other byte is zero, so zeros are not padding.
    root = parse_xmp(data if _UTF_16.match(data) else data.strip(b" \t\r\n\0"))
    keywords = list(_listed(root, _DC + "subject"))
    for name, separator in _HIERARCHIES:
        keywords += [] if keywords else [path.rsplit(separator, 1)[-1] for path in _listed(root, name)]
    dates = (text for name in _XMP_DATES for text in _values(root, name))
    return Metadata(
        xmp_time=next((moment for text in dates if (moment := from_text(text, zone))), None),
        keywords=tuple(_plain(keywords)),
        caption=next(_listed(root, _DC + "description"), ""),
    )


def _from_xmp_block(data: bytes, zone: tzinfo) -> Metadata:
    return _from_xmp(data, zone) if data else Metadata()


def _listed(root: ElementTree.Element, name: str) -> Iterator[str]:
    """Yield a property's values, which should be in a list; some programs write a single one without."""
    lists = [item.text for element in root.iter(name) for item in element.iter(_RDF + "li")]
    for text in lists or _values(root, name):
        if text and text.strip():
            yield text.strip()


def _values(root: ElementTree.Element, name: str) -> Iterator[str]:
    """Yield a property's values, which XMP writes as elements or as attributes."""
    for element in root.iter():
        if element.tag == name and element.text:
            yield element.text
        elif name in element.attrib:
            yield element.attrib[name]


def _plain(keywords: Iterable[str]) -> Iterator[str]:
    for keyword in keywords:
        plain = keyword.strip().lstrip("#＃").strip()
        if plain:
            yield plain
