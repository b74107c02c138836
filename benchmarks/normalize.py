"""Accuracy of the normalizer on tags whose meaning is known, and its speed compared with a fuzzy search.

    python benchmarks/normalize.py FOLDER [POSTS.jsonl.gz]

FOLDER holds `variants_*.tsv` with the columns tag, canonical and two more; rows with `amb` in the last column are
ambiguous and skipped. A tag is right if its best label is the expected one or, where several are expected, if all
are among its labels. Precision is over the tags that got a label, recall over those that have one, and `left alone`
is the share of tags without a meaning that got no label. With posts, speed is measured on their distinct tags: unseen
(first pass) and seen (second pass), beside a fuzzy search over the same variants.
"""

import argparse
import csv
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hashtagger.normalize import Normalizer
from hashtagger.tagposts import read_tag_posts
from hashtagger.tagtext import clean


def measure(path: Path, means: Callable[[str], tuple[str, ...]], key_of: dict[str, str]) -> tuple[float, float, float]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    right = given = known = alone = none = 0
    for tag, canonical, *notes in rows:
        if "amb" in notes[-1]:
            continue
        expected = [key_of[name] for name in canonical.split(",") if name != "-"]
        found = means(tag)
        given += bool(found)
        if expected:
            known += 1
            right += found[:1] == tuple(expected) if len(expected) == 1 else set(expected) <= set(found)
        else:
            none += 1
            alone += not found
    return right / max(given, 1), right / max(known, 1), alone / max(none, 1)


def per_second(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def speed(normalizer: Normalizer, tags: list[str]) -> None:
    from rapidfuzz import process

    fresh = Normalizer(normalizer.vocabulary)
    unseen = per_second(lambda: fresh.normalize_many(tags), len(tags))
    seen = per_second(lambda: fresh.normalize_many(tags), len(tags))
    choices = [word for label in normalizer.vocabulary for word in (label.tag, *label.variants)]
    few = random.Random(0).sample(tags, min(300, len(tags)))
    fuzzy = per_second(lambda: [process.extractOne(clean(tag), choices, score_cutoff=80) for tag in few], len(few))
    code = "import time; s = time.process_time(); from hashtagger.normalize import normalize; normalize('x'); "
    code += "print(time.process_time() - s)"
    start = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{len(tags)} distinct tags, CPU time of one core\n\n| | tags a second | times extractOne |\n|---|---|---|")
    for name, rate in (("unseen", unseen), ("seen", seen), ("rapidfuzz extractOne", fuzzy)):
        print(f"| {name} | {rate:,.0f} | {rate / fuzzy:,.0f} |")
    print(f"\nstart-up {start:.2f} s of CPU time, memory {peak:.0f} MB with all tags held")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("posts", type=Path, nargs="?")
    options = parser.parse_args()
    normalizer = Normalizer()
    labels = list(normalizer.vocabulary)
    key_of = {label.tag: label.key for label in labels}
    methods: dict[str, Callable[[str], tuple[str, ...]]] = {
        "canonical tag as substring": lambda tag: tuple(label.key for label in labels if label.tag in clean(tag)),
        "hashtagger": lambda tag: normalizer.normalize(tag).canonical,
    }
    print("| set | method | precision | recall | left alone |\n|---|---|---|---|---|")
    for path in sorted(options.folder.glob("variants_*.tsv")):
        for name, means in methods.items():
            precision, recall, alone = measure(path, means, key_of)
            print(f"| {path.stem} | {name} | {precision:.3f} | {recall:.3f} | {alone:.3f} |")
    if options.posts:
        speed(normalizer, list(dict.fromkeys(tag for post in read_tag_posts(options.posts) for tag in post.tags)))


if __name__ == "__main__":
    main()
