from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Learn which tags go together from posts. POSTS is a .jsonl or .jsonl.gz file with the tags of one post per "
        "line."
    )
)
@click.argument("posts", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help=_("Where to write the table; its card goes beside it."),
)
@click.option("--source", required=True, help=_("What the posts are, for the card."))
def command(posts: Path, output: Path, source: str) -> None:
    """Write the table and its card."""
    from datetime import datetime, timezone

    from hashtagger.normalize import Normalizer
    from hashtagger.related import learn, write_card
    from hashtagger.tagposts import read_tag_posts

    found = list(read_tag_posts(posts))
    dates = sorted(post.date for post in found if post.date)
    card = {
        "source": source,
        "built": datetime.now(tz=timezone.utc).date().isoformat(),
        "posts": len(found),
        "from": dates[0] if dates else None,
        "to": dates[-1] if dates else None,
    }
    table = learn([post.tags for post in found], Normalizer(), card)
    table.save(output)
    write_card(table, output)
    click.echo(
        _("{tags} tags from {posts} posts, {size} kB, in {path}").format(
            tags=len(table.rows), posts=len(found), size=output.stat().st_size // 1000, path=output
        )
    )
