"""XMP for photos: tags, caption and more in the properties that digiKam, Lightroom, darktable and immich read."""

import re
from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree as ET

from hashtagger.posts.metadata import parse_xmp

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
for _prefix, _uri in _NAMESPACES.items():
    ET.register_namespace(_prefix, _uri)

_HEAD = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    + "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if prefix != "x")
    + '><rdf:Description rdf:about="">'
)
_TAIL = "</rdf:Description></rdf:RDF></x:xmpmeta>\n"
_TAG_LISTS = (("dc:subject", "rdf:Bag"), ("lr:hierarchicalSubject", "rdf:Bag"), ("digiKam:TagsList", "rdf:Seq"))
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class Description:
    """What the XMP says about a photo.

    Attributes:
        tags: Canonical tags, without ``#``.
        top: Name of their parent tag in hierarchical tag lists.
        caption: The post's text, or ``""``.
        taken_at: ISO 8601 with offset; ``None`` if it is only a guess.
        permalink: The post's URL, if known.
        place: Name of a place, if known.
    """

    tags: tuple[str, ...]
    top: str
    caption: str = ""
    taken_at: str | None = None
    permalink: str | None = None
    place: str | None = None


def render(description: Description, existing: bytes | None = None) -> bytes:
    """Render a description as an XMP packet (UTF-8, no wrapper).

    Args:
        description: What to write.
        existing: A packet to extend: its values are kept, and missing tags are added.

    Raises:
        xml.etree.ElementTree.ParseError: ``existing`` is not XML.
        ValueError: ``existing`` has a document type declaration.
    """
    if not existing:
        return _render_new(description)
    root = parse_xmp(existing)
    rdf = root if root.tag == _name("rdf:RDF") else root.find(_name("rdf:RDF"))
    if rdf is None:
        rdf = ET.SubElement(root, _name("rdf:RDF"))
    parts = rdf.findall(_name("rdf:Description"))
    target = parts[0] if parts else ET.SubElement(rdf, _name("rdf:Description"), {_name("rdf:about"): ""})
    said = {name for part in parts for name in [*part.attrib, *(child.tag for child in part)]}

    for number, (name, container) in enumerate(_TAG_LISTS):
        listed = [_clean(_listed(description.top, tag)[number]) for tag in description.tags]
        _extend_list(parts or [target], name, container, listed)
    if description.caption and _name("dc:description") not in said:
        alternative = ET.SubElement(ET.SubElement(target, _name("dc:description")), _name("rdf:Alt"))
        ET.SubElement(alternative, _name("rdf:li"), {_XML_LANG: "x-default"}).text = _clean(description.caption)
    for name, text in _texts(description):
        if text and _name(name) not in said:
            ET.SubElement(target, _name(name)).text = _clean(text)
    return ET.tostring(root, encoding="unicode").encode() + b"\n"


def _render_new(description: Description) -> bytes:
    """Render a new packet as text, which is several times faster than building an element tree."""
    items = [_items(description.top, tag) for tag in description.tags]
    body = [
        f"<{name}><{container}>{''.join(listed)}</{container}></{name}>"
        for (name, container), listed in zip(_TAG_LISTS, zip(*items, strict=True), strict=bool(items))
    ]
    if description.caption:
        words = f'<rdf:li xml:lang="x-default">{_escape(description.caption)}</rdf:li>'
        body.append(f"<dc:description><rdf:Alt>{words}</rdf:Alt></dc:description>")
    body += [f"<{name}>{_escape(text)}</{name}>" for name, text in _texts(description) if text]
    return (_HEAD + "".join(body) + _TAIL).encode()


@lru_cache(maxsize=10_000)  # A tag is in many packets.
def _items(top: str, tag: str) -> tuple[str, ...]:
    """Return a tag's item in each of ``_TAG_LISTS``."""
    return tuple(f"<rdf:li>{_escape(text)}</rdf:li>" for text in _listed(top, tag))


def _listed(top: str, tag: str) -> tuple[str, str, str]:
    """Return a tag as each of ``_TAG_LISTS`` lists it."""
    return tag, f"{top}|{tag}", f"{top}/{tag}"


def _texts(description: Description) -> list[tuple[str, str | None]]:
    dates = ("xmp:CreateDate", "photoshop:DateCreated", "exif:DateTimeOriginal")
    more = [("dc:source", description.permalink), ("Iptc4xmpCore:Location", description.place)]
    return [*((name, description.taken_at) for name in dates), *more]


def _extend_list(parts: list[ET.Element], name: str, container: str, values: list[str]) -> None:
    """Add the values that a list property lacks, creating it if needed."""
    if not values:
        return
    found = next((child for part in parts if (child := part.find(_name(name))) is not None), None)
    if found is None:
        found = ET.SubElement(parts[0], _name(name))
    items = found[0] if len(found) else ET.SubElement(found, _name(container))
    there = {item.text for item in items}
    for value in values:
        if value not in there:
            ET.SubElement(items, _name("rdf:li")).text = value


def _name(prefixed: str) -> str:
    prefix, _, local = prefixed.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def _escape(text: str) -> str:
    # xml.sax.saxutils.escape() does the same, but importing it loads the standard library's network modules.
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)
