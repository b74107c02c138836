import json
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(help=_("Propose tags of your own posts that look like variants of a label; you choose which are."))
@click.argument("posts", type=click.Path(path_type=Path))
@click.option(
    "--user",
    type=click.Path(path_type=Path, dir_okay=False),
    help=_("TOML file of your own tags; what you confirm is added to it."),
)
@click.option("--vocabulary", default="hashtags_ko", show_default=True, help=_("Name or TOML file of the label set."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document, and ask and change nothing."))
def command(posts: Path, user: Path | None, vocabulary: str, as_json: bool) -> None:
    """Ask about each proposal, and add what was confirmed to the user's file."""
    from hashtagger.errors import VocabularyError
    from hashtagger.learn import propose
    from hashtagger.lexicon import add_user_variants
    from hashtagger.normalize import Normalizer
    from hashtagger.tagposts import read_tag_posts

    if user is not None and not user.parent.is_dir():
        raise VocabularyError(_("{path}: no such folder").format(path=user.parent))
    normalizer = Normalizer(vocabulary, user if user and user.exists() else None)
    proposals = propose([post.tags for post in read_tag_posts(posts)], normalizer)
    if as_json:
        found = [{"key": p.key, "tags": [{"tag": tag, "posts": count} for tag, count in p.tags]} for p in proposals]
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not proposals:
        click.echo(_("No tag looks like a variant of a label that it is not known as."))
        return
    confirmed: dict[str, list[str]] = {}
    try:
        for proposal in proposals:
            label = normalizer.vocabulary[proposal.key]
            for tag, count in proposal.tags:
                line = _("#{tag}, in {count} posts of #{label}").format(tag=tag, count=count, label=label.tag)
                if user is None:
                    click.echo(line)
                elif click.confirm(line + _(": is it a variant?"), default=False, err=True):
                    confirmed.setdefault(proposal.key, []).append(tag)
    finally:  # Who stops in the middle keeps what was confirmed.
        if user is not None and confirmed:
            add_user_variants(user, confirmed)
            added = sum(map(len, confirmed.values()))
            click.echo(_("{added} variants added to {path}").format(added=added, path=user))
    if user is None:
        click.echo(_("To choose, give --user FILE."), err=True)
