import json
from collections.abc import Iterator
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Find variants of labels among the tags of your posts. You choose which are right. POSTS are what "
        "organize reads, or .jsonl files with the tags of one post per line."
    )
)
@click.argument("posts", nargs=-1, required=True, metavar="POSTS...", type=click.Path(path_type=Path))
@click.option(
    "--user",
    type=click.Path(path_type=Path, dir_okay=False),
    help=_("TOML file of your own variants and exclusions; what you confirm is added to it."),
)
@click.option("--vocabulary", default="hashtags_ko", show_default=True, help=_("Name or TOML file of the label set."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document, and ask and change nothing."))
def command(posts: tuple[Path, ...], user: Path | None, vocabulary: str, as_json: bool) -> None:
    """Ask about each proposal, and add the confirmed ones to the user's file."""
    from hashtagger.errors import VocabularyError
    from hashtagger.learn import propose
    from hashtagger.lexicon import add_user_variants
    from hashtagger.normalize import Normalizer
    from hashtagger.tagposts import read_tag_posts

    if user is not None and not user.parent.is_dir():
        raise VocabularyError(_("{path}: no such folder").format(path=user.parent))
    normalizer = Normalizer(vocabulary, user if user and user.exists() else None)
    proposals = propose([post.tags for post in read_tag_posts(*posts)], normalizer)
    if as_json:
        found = [{"key": p.key, "tags": [{"tag": tag, "posts": count} for tag, count in p.tags]} for p in proposals]
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not proposals:
        click.echo(_("No tag looks like a new variant of a label."))
        return
    shown = _("#{tag}, in {count} posts of #{label}")
    lines = {
        (p.key, tag): shown.format(tag=tag, count=count, label=normalizer.vocabulary[p.key].tag)
        for p in proposals
        for tag, count in p.tags
    }
    if user is None:
        click.echo("\n".join(lines.values()))
        click.echo(_("To choose, give --user FILE."), err=True)
        return
    confirmed: dict[str, list[str]] = {}
    try:
        for key, tag in _confirmed(lines):
            confirmed.setdefault(key, []).append(tag)
    finally:  # Save what was confirmed, even when interrupted.
        if confirmed:
            add_user_variants(user, confirmed)
            added = sum(map(len, confirmed.values()))
            click.echo(_("{added} variants added to {path}").format(added=added, path=user))


def _confirmed(lines: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """Ask about each key and tag, and yield the confirmed ones."""
    for number, (variant, line) in enumerate(lines.items(), start=1):
        question = f"{number}/{len(lines)}  " + line + _(": is it a variant? (q stops)")
        answer = click.prompt(question, type=click.Choice(["y", "n", "q"]), default="n", err=True)
        if answer == "q":
            return
        if answer == "y":
            yield variant
