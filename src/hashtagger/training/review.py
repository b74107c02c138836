"""An HTML page for reviewing findings, which needs no server."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from hashtagger.errors import ImageError
from hashtagger.i18n import _, language
from hashtagger.images import load_image

if TYPE_CHECKING:
    from hashtagger.training.clean import Finding

MOST = 400
"""Maximum number of findings of each kind on the page; ``findings.jsonl`` has them all."""


def write_page(findings: "Sequence[Finding]", paths: Mapping[str, Path], page: Path) -> None:
    """Write the page: for each finding its photo (and the photo's twin), the reason, and a choice of actions.

    The page's button saves all findings, with the chosen actions, as a new ``findings.jsonl``.
    """
    by_kind: dict[str, list[int]] = {}
    for number, finding in enumerate(findings):
        by_kind.setdefault(finding.kind, []).append(number)
    sections = []
    for kind, numbers in by_kind.items():
        figures = "\n".join(_figure(number, findings[number], paths) for number in numbers[:MOST])
        sections.append(f"<h2>{escape(kind)} ({len(numbers)})</h2>\n<section>\n{figures}\n</section>")
    embedded = json.dumps([asdict(finding) for finding in findings]).replace("</", "<\\/")
    template = Template(Path(__file__).with_name("review.html").read_text(encoding="utf-8"))
    page.write_text(
        template.substitute(
            language=language(),
            title=_("Photos to review"),
            save=_("Save findings.jsonl"),
            sections="\n".join(sections),
            findings=embedded,
        ),
        encoding="utf-8",
        # File names may contain bytes that are not valid UTF-8.
        errors="backslashreplace",
    )


def _figure(number: int, finding: "Finding", paths: Mapping[str, Path]) -> str:
    from hashtagger.training.clean import ACTIONS

    pictures = "".join(_picture(paths[file]) for file in (finding.file, finding.twin) if file)
    words = [f"{escape(finding.file)}<br><b>{escape(finding.key)}</b>"]
    if finding.suggestion:
        words.append(f"→ <b>{escape(finding.suggestion)}</b>")
    words += [f"{finding.score:.2f}", escape(finding.reason)]
    possible = [action for action in ACTIONS if action != "relabel" or finding.suggestion]
    options = "".join(f"<option{' selected' * (action == finding.action)}>{action}</option>" for action in possible)
    return (
        f"<figure><div>{pictures}</div><figcaption>{' '.join(words)}<br>"
        f'<select data-number="{number}">{options}</select></figcaption></figure>'
    )


def _picture(path: Path, side: int = 160) -> str:
    try:
        image = load_image(path, shorter_side=side)
    except ImageError:
        return '<img alt="">'
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=70)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
