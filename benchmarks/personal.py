"""Personal history: five earlier posts of one author, and how many of ten tags given for the next one they wrote.

    python benchmarks/personal.py POSTS.jsonl.gz

An author is a tag that is no common word: six posts or more hold it, and they share a tenth of
their tags on average (a pet's name, a shop).
That tag itself, the class's own, and posts with the same tags as one of the five are left out. Related tags are
learned from the other authors' posts only.
"""

import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path

from hashtagger import history
from hashtagger.lexicon import fold
from hashtagger.normalize import Normalizer
from hashtagger.related import is_spam, learn
from hashtagger.tagposts import TagPost, read_tag_posts
from hashtagger.tagtext import clean
from hashtagger.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
SHOWN = 5
ALIKE = 0.1  # mean overlap (Jaccard) of an author's posts


def names(post: TagPost) -> frozenset[str]:
    return frozenset(name for tag in post.tags for part in clean(tag).split("#") if (name := fold(part)))


def authors(posts: list[TagPost], normalizer: Normalizer) -> dict[str, list[int]]:
    """Posts of each author, oldest first, each post once."""
    holders: dict[str, list[int]] = defaultdict(list)
    sets = [names(post) for post in posts]
    for number, tags in enumerate(sets):
        for tag in tags:
            holders[tag].append(number)
    found: dict[str, list[int]] = {}
    taken: set[int] = set()
    for tag in sorted(holders, key=lambda tag: (len(holders[tag]), tag)):
        numbers = [n for n in holders[tag] if n not in taken]
        if not SHOWN < len(numbers) <= 40 or is_spam(tag) or normalizer.normalize(tag).canonical:
            continue
        overlaps = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in combinations(numbers, 2)]
        if sum(overlaps) / len(overlaps) >= ALIKE:
            found[tag] = sorted(numbers, key=lambda n: (posts[n].date or "", n))
            taken.update(numbers)
    return found


def main() -> None:
    posts = list(read_tag_posts(Path(sys.argv[1])))
    normalizer = Normalizer()
    groups = authors(posts, normalizer)
    theirs = {n for numbers in groups.values() for n in numbers}
    table = learn([post.tags for n, post in enumerate(posts) if n not in theirs], normalizer, {})
    history.packed = lambda: table  # type: ignore[attr-defined]
    methods: dict[str, list[float]] = {"fixed list of the class": [], "five posts' history": []}
    asked = 0
    for signature, numbers in groups.items():
        for at in range(SHOWN, len(numbers)):
            target = posts[numbers[at]]
            past = [posts[n].tags for n in numbers[at - SHOWN : at]]
            if any(names(TagPost(tuple(tags))) == names(target) for tags in past):
                continue
            label = VOCABULARY[target.query or ""]
            truth = names(target) - {signature, fold(label.tag)}
            user = history.History(past, normalizer)
            lists = (table.of(label.tag), [t for t in user.companions(label, 11) if fold(t) != signature][:10])
            asked += 1
            for shares, found in zip(methods.values(), lists, strict=True):
                shares.append(len(truth & set(map(fold, found))) / 10)
    print(f"{len(groups)} authors, {asked} posts asked\n\n| method | precision@10 |\n|---|---|")
    for name, shares in methods.items():
        print(f"| {name} | {sum(shares) / len(shares):.3f} |")


if __name__ == "__main__":
    main()
