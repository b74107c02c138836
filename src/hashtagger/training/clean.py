"""Find likely problems in labelled photos, for a person to review; no photo is ever deleted."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hashtagger.digest import digest_at
from hashtagger.errors import ImageError, TrainingError
from hashtagger.groups import merge
from hashtagger.i18n import _
from hashtagger.images import load_image
from hashtagger.models.find import locate_weights
from hashtagger.models.weights import load_weights
from hashtagger.training import label_check
from hashtagger.training.duplicates import near_pairs, perceptual_hash
from hashtagger.training.evaluate import run_network
from hashtagger.training.extra import require
from hashtagger.training.photos import MANIFEST, Photo, photos_of, read_entries, read_json_lines
from hashtagger.training.plots import draw_balance
from hashtagger.training.review import write_page

FINDINGS = "findings.jsonl"
ACTIONS = ("drop", "relabel", "keep")
KINDS = ("unreadable", "duplicate", "near-duplicate", "text", "flat", "label", "outlier")

TEXT = 0.01
"""Score from which a photo counts as text-heavy; see :func:`text_and_flat`."""
FLAT = 0.75
"""Share of featureless area from which a photo counts as flat."""


@dataclass(frozen=True)
class Finding:
    """A possible problem with a photo, for a person to review.

    Attributes:
        file: The photo's path as written in the data.
        key: Its label.
        kind: One of :data:`KINDS`.
        score: Confidence in the finding; comparable only within its kind.
        action: What ``--apply`` does with it: ``"drop"``, ``"relabel"`` (to ``suggestion``) or ``"keep"``.
        suggestion: Another label that fits better; ``""`` if there is none.
        twin: The photo that this one duplicates; ``""`` if it is not a duplicate.
        reason: Explanation for the reviewer.
    """

    file: str
    key: str
    kind: str
    score: float
    action: str
    suggestion: str = ""
    twin: str = ""
    reason: str = ""


def clean(
    data: "str | os.PathLike[str]",
    out: "str | os.PathLike[str]",
    *,
    weights: "str | os.PathLike[str] | None" = None,
) -> dict[str, Any]:
    """Check labelled photos and report those that should be reviewed.

    The folder ``out`` receives ``findings.jsonl`` (ranked, one object per line), ``review.html`` (the same findings as
    a page of pictures on which each action can be changed), and ``balance.png``. By default, unreadable photos and
    duplicates are marked to be dropped, and all others to be kept.

    Args:
        data: Class folders or a manifest, as :func:`~hashtagger.training.photos.read_photos` takes them.
        out: Output folder; created if missing.
        weights: Weights file, or name, of the network whose features are used to find wrong labels; by default the
            bundled one.

    Returns:
        ``photos``, ``balance`` (photos per label), ``findings`` (number per kind) and ``review`` (path of the page).

    Raises:
        TrainingError: There are no photos, or ``out`` already contains findings.
        WeightsError: The weights cannot be read.
        MissingExtraError: Matplotlib is not installed.
    """
    require("matplotlib")
    out = Path(out)
    if (out / FINDINGS).exists():
        raise TrainingError(
            _("{path}: already exists; add --apply to apply it, or choose another folder").format(path=out / FINDINGS)
        )
    root, entries = read_entries(data)
    photos = photos_of(root, entries)
    # A manifest may list a photo several times to give it more weight; it is checked once.
    distinct = {str(entry["file"]): photo for entry, photo in zip(entries, photos, strict=True)}
    files, checked = list(distinct), list(distinct.values())
    findings, usable = _check_files(checked, files)
    findings += _label_findings([checked[i] for i in usable], [files[i] for i in usable], weights)
    findings.sort(key=lambda finding: (KINDS.index(finding.kind), -finding.score))
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(finding)) for finding in findings]
    (out / FINDINGS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    balance = Counter(photo.key for photo in photos)
    draw_balance(balance, out / "balance.png")
    write_page(findings, {file: photo.path for file, photo in distinct.items()}, out / "review.html")
    return {
        "photos": len(photos),
        "balance": dict(balance.most_common()),
        "findings": {kind: sum(finding.kind == kind for finding in findings) for kind in KINDS},
        "review": str(out / "review.html"),
    }


def apply_findings(data: "str | os.PathLike[str]", out: "str | os.PathLike[str]") -> dict[str, Any]:
    """Write ``manifest.jsonl`` into ``out``: the data after the actions of ``findings.jsonl`` in the same folder.

    Returns:
        ``kept``, ``dropped`` and ``relabelled`` (numbers of photos), and ``manifest`` (path of the file).

    Raises:
        TrainingError: There are no findings, they belong to other data, or one of them is invalid.
    """
    root, entries = read_entries(data)
    out = Path(out)
    target = out / MANIFEST
    found: set[str] = set()
    dropped: set[str] = set()
    relabelled: dict[str, str] = {}
    if not (out / FINDINGS).is_file():
        raise TrainingError(_("{path}: no findings; run without --apply first").format(path=out / FINDINGS))
    for number, finding in read_json_lines(out / FINDINGS):
        action, file, suggestion = (finding.get(name) for name in ("action", "file", "suggestion"))
        if action not in ACTIONS or not isinstance(file, str) or (action == "relabel" and not suggestion):
            raise TrainingError(
                _("{path}: line {number}: the action must be drop, keep, or relabel with a suggestion").format(
                    path=out / FINDINGS, number=number
                )
            )
        found.add(file)
        if action == "drop":
            dropped.add(file)
        elif action == "relabel":
            relabelled[file] = str(suggestion)
    if target.exists() and root.resolve() == out.resolve():
        raise TrainingError(_("{path}: is the data's own manifest; choose another folder").format(path=target))
    absent = found - {entry["file"] for entry in entries}
    if absent:
        # Many data sets number their photos alike, so findings of other data may match some files of this one.
        raise TrainingError(
            _("{path}: {n} photos of these findings are not in {data}; run without --apply again").format(
                path=out / FINDINGS, n=len(absent), data=data
            )
        )
    kept = [entry for entry in entries if entry["file"] not in dropped]
    written = (
        {**entry, "key": relabelled.get(entry["file"], entry["key"]), "file": _relative(root / entry["file"], out)}
        for entry in kept
    )
    target.write_text("".join(json.dumps(entry) + "\n" for entry in written), encoding="utf-8")
    return {
        "kept": len(kept),
        "dropped": len(entries) - len(kept),
        "relabelled": sum(entry["file"] in relabelled for entry in kept),
        "manifest": str(target),
    }


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # different drives on Windows
        return path.absolute().as_posix()


def _check_files(photos: Sequence[Photo], files: Sequence[str]) -> tuple[list[Finding], list[int]]:
    """Run the checks that need no network: their findings, and the indices of the photos not marked ``"drop"``."""
    from tqdm import tqdm

    findings: list[Finding] = []
    hashes: list[int | None] = []
    contents: list[str] = []
    for photo, file in zip(tqdm(photos, desc=_("photos"), disable=None), files, strict=True):
        try:
            image = load_image(photo.path, shorter_side=160)
        except ImageError as error:
            hashes.append(None)
            contents.append("")
            findings.append(Finding(file, photo.key, "unreadable", 1.0, "drop", reason=str(error)))
            continue
        hashes.append(perceptual_hash(image))
        contents.append(digest_at(photo.path))
        text, flat = text_and_flat(image)
        if text >= TEXT:
            findings.append(Finding(file, photo.key, "text", text, "keep", reason=_("looks like print")))
        elif flat >= FLAT:
            findings.append(Finding(file, photo.key, "flat", flat, "keep", reason=_("hardly any detail")))
    twins = _twins(photos, hashes, contents)
    for number, twin in twins.items():
        exact = contents[number] == contents[twin]
        apart = 0 if exact else (hashes[number] or 0) ^ (hashes[twin] or 0)
        other = photos[twin].key
        findings.append(
            Finding(
                files[number],
                photos[number].key,
                "duplicate" if exact else "near-duplicate",
                # Duplicates with different labels rank first, because one of the labels must be wrong.
                1 - apart.bit_count() / 64 + (other != photos[number].key),
                "drop",
                suggestion=other if other != photos[number].key else "",
                twin=files[twin],
                reason=_("same as {file} ({key})").format(file=files[twin], key=other),
            )
        )
    usable = [number for number, value in enumerate(hashes) if value is not None and number not in twins]
    return findings, usable


def _twins(photos: Sequence[Photo], hashes: Sequence[int | None], contents: Sequence[str]) -> dict[int, int]:
    """Map each duplicate to the photo that is kept instead, preferably one outside the training split."""
    first: dict[str, int] = {}
    exact = [(first.setdefault(content, number), number) for number, content in enumerate(contents) if content]
    groups: dict[int, list[int]] = {}
    for number, group in enumerate(merge(len(photos), [*exact, *near_pairs(hashes)])):
        groups.setdefault(group, []).append(number)
    twins = {}
    for members in groups.values():
        kept = min(members, key=lambda number: (photos[number].split in ("", "train"), number))
        twins.update({number: kept for number in members if number != kept})
    return twins


def text_and_flat(image: Any) -> tuple[float, float]:
    """Measure how much of a photo is text on a plain background, and how much of it is featureless, each 0..1.

    The photo is scaled to a shorter side of 160 pixels and divided into blocks of 8x8. A block counts as text if its
    pixels have two well-separated tones that alternate often along both rows and columns: letters do, stripes do not.
    It counts as featureless if all its pixels have nearly the same tone. The share of text blocks is multiplied by
    the share of pixels in the most common of 32 grey levels: screens, pages and posters have a plain background,
    photos have many shades.
    """
    import numpy as np

    scale = 160 / min(image.size)
    width, height = (max(8, round(side * scale)) // 8 * 8 for side in image.size)
    grey = np.asarray(image.convert("L").resize((width, height)))
    ground = np.bincount(grey.ravel() // 8).max() / grey.size
    blocks = grey.astype(np.float32).reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    low, high = blocks.min((2, 3), keepdims=True), blocks.max((2, 3), keepdims=True)
    contrast = high - low
    tone = (blocks - low) / np.maximum(contrast, 1)
    two_tones = ((tone < 0.25) | (tone > 0.75)).mean((2, 3)) >= 0.6
    changes = np.minimum(*(np.diff(tone > 0.5, axis=axis).sum((2, 3)) for axis in (2, 3)))
    contrast = contrast[:, :, 0, 0]
    text = ((contrast >= 70) & two_tones & (changes >= 10)).mean() * ground
    return float(text), float((contrast <= 6).mean())


def _label_findings(
    photos: Sequence[Photo], files: Sequence[str], weights: "str | os.PathLike[str] | None"
) -> list[Finding]:
    """Find likely wrong labels, and photos unlike all others of their label."""
    network, config = load_weights(locate_weights(weights))
    network.reset_classifier(0)  # type: ignore[operator]
    features, index, _problems = run_network(network, config, photos)
    photos, files = [photos[i] for i in index], [files[i] for i in index]
    keys = [photo.key for photo in photos]
    findings = []
    for number, suggestion, score in label_check.wrong_labels(features, keys):
        if suggestion not in photos[number].also:
            reason = _("looks like {key}").format(key=suggestion)
            findings.append(Finding(files[number], keys[number], "label", score, "keep", suggestion, reason=reason))
    for number, score in label_check.outliers(features, keys):
        reason = _("unlike the others of its label")
        findings.append(Finding(files[number], keys[number], "outlier", score, "keep", reason=reason))
    return findings
