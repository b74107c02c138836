"""Personal history: how well five earlier posts of an author predict the next.

    python benchmarks/personal.py POSTS.jsonl.gz [--photos MANIFEST_FOLDER]

The posts do not name their authors, so authors are identified by tags that only one of them uses, such as the names of
a pet and a shop: two uncommon tags that occur in at least six posts, and more often together than apart. The measure
is how many of ten suggested tags the author wrote. The tags that identify the author, the tag of the class, and posts
with the same tags as one of the five are excluded, and related tags are learned from other authors' posts only. Two
more rows show the results with a looser and a stricter criterion for authors.

With photos of the twenty classes (a folder with a manifest), each predicted post is also paired with five random
photos of its class from the split val_other, and their scores are adjusted by the same five posts.
"""

import argparse
import random
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from hashtagger import history
from hashtagger.lexicon import fold
from hashtagger.normalize import Normalizer
from hashtagger.related import is_spam, learn
from hashtagger.tagposts import TagPost, read_tag_posts
from hashtagger.tagtext import parts
from hashtagger.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
SHOWN = 5
UNCOMMON = range(SHOWN + 1, 41)  # number of posts with a tag that may identify an author
TOGETHER = (0.3, 0.5, 0.7)  # posts with both tags as a share of those with either; the middle one is the main result
STRENGTHS = (0.0, 0.5, 1.0)
DRAWS = 5  # photos per post


class Asked(NamedTuple):
    """A post to predict, the posts before it, and the tags that identify its author."""

    past: list[int]
    target: int
    signs: frozenset[str]


def names(post: TagPost) -> frozenset[str]:
    return frozenset(name for part in parts(post.tags) if (name := fold(part)))


def asked_posts(posts: list[TagPost], sets: list[frozenset[str]], normalizer: Normalizer, least: float) -> list[Asked]:
    """Find the posts that have five earlier ones by their author."""
    holders: dict[str, set[int]] = defaultdict(set)
    for number, tags in enumerate(sets):
        for tag in tags:
            holders[tag].add(number)
    signs: dict[int, list[str]] = defaultdict(list)
    for tag, numbers in holders.items():
        if len(numbers) in UNCOMMON and not is_spam(tag) and not normalizer.normalize(tag).canonical:
            for number in numbers:
                signs[number].append(tag)
    both = Counter(pair for tags in signs.values() for pair in combinations(sorted(tags), 2))
    twins: dict[str, set[str]] = defaultdict(set)
    for (a, b), count in both.items():
        if count >= least * len(holders[a] | holders[b]):
            twins[a].add(b)
            twins[b].add(a)
    found: list[Asked] = []
    taken: set[int] = set()
    for tag in sorted(twins, key=lambda tag: (-len(holders[tag]), tag)):
        numbers = sorted(holders[tag] - taken, key=lambda n: (posts[n].date or "", n))
        if len(numbers) <= SHOWN:
            continue
        taken.update(numbers)
        for at in range(SHOWN, len(numbers)):
            past = numbers[at - SHOWN : at]
            if all(sets[n] != sets[numbers[at]] for n in past):
                found.append(Asked(past, numbers[at], frozenset(twins[tag] | {tag})))
    return found


def tags_found(
    posts: list[TagPost], sets: list[frozenset[str]], asked: list[Asked], normalizer: Normalizer
) -> tuple[float, float]:
    """Return precision@10 of the class's fixed list of related tags, and with the author's history."""
    theirs = {n for one in asked for n in (*one.past, one.target)}
    table = learn([post.tags for n, post in enumerate(posts) if n not in theirs], normalizer, {})
    history.bundled = lambda: table  # type: ignore[attr-defined]
    fixed = personal = 0
    for one in asked:
        label = VOCABULARY[posts[one.target].query or ""]
        truth = sets[one.target] - one.signs - {fold(label.tag)}
        user = history.History([posts[n].tags for n in one.past], normalizer)
        own = [tag for tag in user.companions(label, 10 + len(one.signs)) if fold(tag) not in one.signs]
        fixed += len(truth & set(map(fold, table.of(label.tag)[:10])))
        personal += len(truth & set(map(fold, own[:10])))
    return fixed / len(asked) / 10, personal / len(asked) / 10


def photos_found(posts: list[TagPost], asked: list[Asked], normalizer: Normalizer, folder: Path) -> None:
    """Print the top-1 accuracy on photos by strength of the history."""
    from hashtagger.recommend import Recommender
    from hashtagger.training.photos import read_photos

    recommender = Recommender(VOCABULARY)
    photos = [p for p in read_photos(folder) if p.split == "val_other" and p.key in VOCABULARY.keys]
    scores = recommender.scores([photo.path for photo in photos])
    of_class: dict[str, list[int]] = defaultdict(list)
    for number, photo in enumerate(photos):
        of_class[photo.key].append(number)
    draw = random.Random(0)
    rows: dict[str, dict[float, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for one in asked:
        key = posts[one.target].query or ""
        drawn = scores[[draw.choice(of_class[key]) for _ in range(DRAWS)]]
        past = [posts[n].tags for n in one.past]
        known = any(posts[n].query == key for n in one.past)
        for strength in STRENGTHS:
            for kind, before in (
                ("all", past),
                ("of a class among the five" if known else "of a class new to the author", past),
                ("of an author without posts", []),
            ):
                shifted = history.History(before, normalizer, strength=strength).adjust(drawn, VOCABULARY)
                rows[kind][strength] += [VOCABULARY.keys[i] == key for i in shifted.argmax(axis=1)]
    head = " | ".join(f"strength {strength:g}" for strength in STRENGTHS)
    print(f"\n| top-1 of a photo | photos | {head} |\n|---|---|{'---|' * len(STRENGTHS)}")
    for kind, found in rows.items():
        shares = " | ".join(f"{sum(right) / len(right):.3f}" for right in found.values())
        print(f"| {kind} | {len(found[0.0])} | {shares} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("--photos", type=Path, help="folder with a manifest of photos of the twenty classes")
    arguments = parser.parse_args()
    posts = list(read_tag_posts(arguments.posts))
    sets = [names(post) for post in posts]
    normalizer = Normalizer()
    print("| an author's two tags go together in | posts asked | fixed list of the class | five posts' history |")
    print("|---|---|---|---|")
    for least in TOGETHER:
        asked = asked_posts(posts, sets, normalizer, least)
        fixed, personal = tags_found(posts, sets, asked, normalizer)
        print(f"| {least:.0%} of their posts | {len(asked)} | {fixed:.3f} | {personal:.3f} |", flush=True)
    if arguments.photos:
        photos_found(posts, asked_posts(posts, sets, normalizer, TOGETHER[1]), normalizer, arguments.photos)


if __name__ == "__main__":
    main()
