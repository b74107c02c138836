import json
from datetime import datetime
from pathlib import Path

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Fetch a profile's posts or a hashtag's photos. They come from Instagram; those of a hashtag "
        '("#TAG", in quotes) are for training. '
        "Take your own posts, or what you may take: Instagram's terms of use apply."
    )
)
@click.argument("target", metavar='PROFILE|"#TAG"')
@click.argument("destination", metavar="DEST", type=click.Path(file_okay=False, path_type=Path))
@click.option("--login", "user", metavar="USER", help=_("Log in as this account; the password is asked for."))
@click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help=_("Leave out posts before this day in Seoul (2023-04-20)."),
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help=_("At most this many posts, newest first."))
@click.option(
    "--vocabulary",
    default="hashtags_ko",
    show_default=True,
    help=_("Name or TOML file of the label set whose keys name the class folders of hashtags."),
)
@click.option("--fast-update", is_flag=True, help=_("Stop at the first post that is there already."))
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(
    target: str,
    destination: Path,
    user: str | None,
    since: datetime | None,
    count: int | None,
    vocabulary: str,
    fast_update: bool,
    as_json: bool,
) -> None:
    """Fetch the posts and print how many there are."""
    from tqdm import tqdm

    from hashtagger.posts.collect import Login, Wanted, collect_hashtag, collect_profile
    from hashtagger.posts.dates import find_zone

    def ask_password() -> str:
        return str(click.prompt(_("Instagram password of {user}").format(user=user), hide_input=True, err=True))

    def ask_code() -> str:
        return str(click.prompt(_("Code of two-factor authentication"), err=True))

    login = Login(user, ask_password, ask_code) if user else None
    with tqdm(total=count, unit=_("posts"), disable=None) as bar:
        wanted = Wanted(
            since.replace(tzinfo=find_zone("Asia/Seoul")) if since else None, count, fast_update, on_post=bar.update
        )
        if target.startswith(("#", "＃")):
            collected = collect_hashtag(target, destination, _class_of(target, vocabulary), login, wanted)
        else:
            collected = collect_profile(target, destination, login, wanted)
    for problem in collected.problems:
        click.echo(problem, err=True)
    if as_json:
        document = {"folder": str(collected.folder), "posts": collected.posts, "problems": collected.problems}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        click.echo(_("{count} posts in {folder}").format(count=collected.posts, folder=collected.folder))


def _class_of(tag: str, vocabulary: str) -> str:
    """Return the class folder's name for a hashtag: the key of the label it stands for, or else the tag itself."""
    from hashtagger.normalize import Normalizer

    (known,) = Normalizer(vocabulary).normalize_many([tag])
    return known.canonical[0] if known.canonical else known.tag
