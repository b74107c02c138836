import codecs
import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click

from hashtagger.i18n import _

_WHY = {
    "exact": _("the tag itself"),
    "variant": _("a known variant"),
    "family": _("of the -스타그램 family"),
    "compound": _("a compound with a known word"),
    "jamo": _("letters typed apart"),
    "drawl": _("drawled or said again"),
    "keyboard": _("typed on the other keyboard"),
    "romanized": _("Korean in Latin letters"),
    "typo": _("one slip away"),
    "excluded": _("excluded by you"),
    "unknown": _("means no label"),
}


@click.command(help=_("Tell which label each tag means. With - as TAG, it reads one tag per line from standard input."))
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option("--vocabulary", default="hashtags_ko", show_default=True, help=_("Name or TOML file of the label set."))
@click.option("--user", type=click.Path(path_type=Path), help=_("TOML file of your own variants and exclusions."))
@click.option("--explain", is_flag=True, help=_("Say which rule decided, and how it ranks from 0 to 1."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(tags: tuple[str, ...], vocabulary: str, user: Path | None, explain: bool, as_json: bool) -> None:
    """Print each tag and what it means, one tag per line."""
    from hashtagger.normalize import Normalizer

    normalizer = Normalizer(vocabulary, user)
    found = (normalizer.normalize(tag) for tag in _read(tags))
    if as_json:
        click.echo(json.dumps([n._asdict() for n in found], ensure_ascii=False, indent=2))
        return
    for n in found:
        line = f"{n.original}\t#{n.tag}"
        if explain:
            line += f"\t{','.join(n.canonical) or '-'}\t{n.score:.2f}\t{n.rule}: {_WHY[n.rule]}"
        click.echo(line)


def _read(tags: tuple[str, ...]) -> Iterator[str]:
    for tag in tags:
        if tag == "-":
            yield from filter(str.strip, _lines())
        elif tag.strip():
            yield tag


def _lines() -> Iterator[str]:
    first = sys.stdin.buffer.readline()
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's > writes this
        yield from (first + sys.stdin.buffer.read()).decode("utf-16", errors="replace").splitlines()
    else:
        yield from map(_decode, chain([first], sys.stdin.buffer))


def _decode(line: bytes) -> str:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = line.decode("cp949", errors="replace")  # Korean Windows writes this
    return text.rstrip("\r\n")
