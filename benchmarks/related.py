"""Related tags: how many of the ten tags suggested for a class occur in posts of held-out authors.

    python benchmarks/related.py POSTS.jsonl.gz

Every method learns from the same 70% of authors (posts that share rare tags count as one author's) and suggests ten
tags for each of the twenty hashtags. `shared` is how many of a class's ten tags are suggested for more than half of
the classes, in the worst class; `spam` counts tags that only fish for followers or customers, over all classes.
"""

import argparse
import hashlib
from collections import Counter
from pathlib import Path

from hashtagger.authors import group_by_author
from hashtagger.lexicon import fold
from hashtagger.normalize import Normalizer
from hashtagger.related import is_spam, learn
from hashtagger.tagposts import TagPost, read_tag_posts
from hashtagger.tagtext import parts
from hashtagger.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
TAG = {label.key: fold(label.tag) for label in VOCABULARY}
Lists = dict[str, list[str]]


def names(post: TagPost) -> list[str]:
    return list(dict.fromkeys(name for part in parts(post.tags) if (name := fold(part))))


def by_class(posts: list[TagPost]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {key: Counter() for key in TAG}
    for post in posts:
        counts[post.query].update(name for name in names(post) if name != TAG[post.query])
    return counts


def original(posts: list[TagPost]) -> Lists:
    """The original study's method: drop tags common to all classes, then those in two classes' top 50; keep ten."""
    counts = by_class(posts)
    everywhere = set.intersection(*(set(count) for count in counts.values()))
    top = {
        key: [name for name, _ in count.most_common() if name not in everywhere][:50] for key, count in counts.items()
    }
    uses = Counter(name for found in top.values() for name in found)
    return {key: [name for name in found if uses[name] == 1][:10] for key, found in top.items()}


def most_used(posts: list[TagPost]) -> Lists:
    return {
        key: [name for name, _ in count.most_common(200) if not is_spam(name)][:10]
        for key, count in by_class(posts).items()
    }


def lift(posts: list[TagPost]) -> Lists:
    """The share of a tag's uses that are in the class, for tags used at least ten times in it."""
    counts = by_class(posts)
    total = sum(counts.values(), Counter())
    found = {}
    for key, count in counts.items():
        frequent = [name for name, n in count.items() if n >= 10 and not is_spam(name)]
        found[key] = sorted(frequent, key=lambda name: -count[name] / total[name])[:10]
    return found


def ours(posts: list[TagPost]) -> Lists:
    table = learn([post.tags for post in posts], Normalizer(), {})
    return {label.key: [fold(tag) for tag in table.of(label.tag)] for label in VOCABULARY}


def split(posts: list[TagPost]) -> tuple[list[TagPost], list[TagPost]]:
    learned, held = [], []
    for post, author in zip(posts, group_by_author([names(post) for post in posts]), strict=True):
        digest = hashlib.md5(str(author).encode(), usedforsecurity=False).digest()
        (held if digest[0] < 0.3 * 256 else learned).append(post)
    return learned, held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("posts", type=Path)
    posts = list(read_tag_posts(parser.parse_args().posts))
    learned, held = split(posts)
    print(f"learned from {len(learned)} posts, asked on {len(held)} of other authors\n")
    print("| method | precision@10 | recall@10 | posts with a hit | shared | spam |\n|---|---|---|---|---|---|")
    for method in (original, most_used, lift, ours):
        lists = method(learned)
        truth = [(post.query, set(names(post)) - {TAG[post.query]}) for post in held]
        hits = [len(tags & set(lists[key])) for key, tags in truth]
        recall = sum(hit / max(len(tags), 1) for hit, (_, tags) in zip(hits, truth, strict=True)) / len(held)
        uses = Counter(name for found in lists.values() for name in found)
        shared = max(sum(uses[name] > len(TAG) / 2 for name in found) for found in lists.values())
        spam = sum(is_spam(name) for found in lists.values() for name in found)
        print(
            f"| {method.__name__} | {sum(hits) / len(held) / 10:.3f} | {recall:.3f} "
            f"| {sum(hit > 0 for hit in hits) / len(held):.2f} | {shared} | {spam} |"
        )


if __name__ == "__main__":
    main()
