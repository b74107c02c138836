"""Print a table of a data set's sources, with their numbers of photos and their licences.

python benchmarks/provenance.py ../shared/photos/manifest.jsonl > weights/sources.md
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

SPLITS = {"train": "learned from", "val": "validation", "val_other": "other sources"}
UNSTATED = "unstated"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    rows = [json.loads(line) for line in parser.parse_args().manifest.open(encoding="utf-8")]
    photos: dict[str, Counter[str]] = defaultdict(Counter)
    licences: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        photos[row["source"]][row["split"]] += 1
        licences[row["source"]][short(row.get("license"))] += 1
    all_licences = sum(licences.values(), Counter())
    research = sum(count for licence, count in all_licences.items() if licence.endswith("research")) / len(rows)
    unstated = all_licences[UNSTATED] / len(rows)
    print(
        f"""# Sources of the photos

The {len(rows):,} photos that the hashtag network was trained and measured on come from {len(photos)} public
repositories (owner/name on GitHub), some of which pass on a known data set. The licence is what the repository
says, which need not be that of its photos: nothing for {unstated:.0%} of them, research alone for {research:.0%}.
No photo is distributed with hashtagger.

| source | {" | ".join(SPLITS.values())} | licence |
|---|{"--:|" * len(SPLITS)}---|"""
    )
    for source in sorted(photos, key=lambda source: (-photos[source].total(), source.lower())):
        counts = " | ".join(str(photos[source][split] or "") for split in SPLITS)
        print(f"| {source} | {counts} | {', '.join(licence for licence, _n in licences[source].most_common())} |")


def short(licence: str | None) -> str:
    """Return the licence without the remarks after it."""
    name = re.split(r"[;,(]| annotations", licence or UNSTATED)[0].strip().removeprefix("LicenseRef-")
    return "Flickr8k-research" if name == "Flickr8k" else name


if __name__ == "__main__":
    main()
