"""`hashtagger organize`: sort posts into folders."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hashtagger.cli._problems import echo_problems
from hashtagger.i18n import _
from hashtagger.organize import Report, organize
from hashtagger.organize.run import Mode
from hashtagger.posts.mojibake import printable


@click.command(
    help=_(
        "Sort the posts of SOURCE into folders by month and tag. The folders are made in DEST. SOURCE is an "
        "Instagram data export (a folder, or all of its ZIP archives), a folder filled by instaloader, or a "
        "folder of photos. If DEST is sorted already, --by, --min-count and --lang apply to all of it, the "
        "other options to what is new."
    )
)
@click.argument("source", nargs=-1, metavar="SOURCE...", type=click.Path(path_type=Path))
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@click.option("--by", default="date,tag", show_default=True, help=_("date, tag or both."))
@click.option(
    "--mode",
    type=click.Choice(["copy", "hardlink", "symlink", "move"]),
    default="copy",
    show_default=True,
    help=_("How new files get to DEST; those in an archive are copied."),
)
@click.option(
    "--min-count",
    default=2,
    show_default=True,
    help=_("A tag with fewer posts gets no folder; a post with no other tag goes to the folder for others."),
)
@click.option(
    "--tag-untagged/--no-tag-untagged",
    default=True,
    show_default=True,
    help=_("Let the model tag posts that have no tags, where it is sure."),
)
@click.option("--timezone", default="Asia/Seoul", show_default=True, help=_("Time zone that tells a post's month."))
@click.option(
    "--lang",
    type=click.Choice(["ko", "en"]),
    help=_("Language of the folders' names: Korean unless the tree there is in English."),
)
@click.option("--user", type=click.Path(path_type=Path), help=_("TOML file of your own variants and exclusions."))
@click.option("--embed", is_flag=True, help=_("Write tags and caption into the copies of photos too."))
@click.option("--reels/--no-reels", default=True, show_default=True, help=_("From an export, take reels and IGTV too."))
@click.option("--stories", is_flag=True, help=_("From an export, take stories too."))
@click.option("--other", is_flag=True, help=_("From an export, take profile photos and other content too."))
@click.option("--dry-run", is_flag=True, help=_("Only show the plan."))
@click.option("--json", "as_json", is_flag=True, help=_("Print the plan and the report as JSON."))
def command(
    source: tuple[Path, ...],
    dest: Path,
    by: str,
    mode: Mode,
    min_count: int,
    tag_untagged: bool,
    timezone: str,
    lang: str | None,
    user: Path | None,
    embed: bool,
    reels: bool,
    stories: bool,
    other: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Organize the posts and print the plan or the report."""
    if not source:
        raise click.UsageError(_("{path} is one of SOURCE and DEST; give both").format(path=dest))
    try:
        report = organize(
            source,
            dest,
            by=by,
            mode=mode,
            min_count=min_count,
            timezone=timezone,
            tag_untagged=tag_untagged,
            dry_run=dry_run,
            lang=lang,
            user=user,
            embed=embed,
            reels=reels,
            stories=stories,
            other=other,
            progress=True,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_("stopped; run the same command again to go on")) from None
    if as_json:
        _print_json(report)
        return
    if dry_run:
        for placement in report.placements():
            how = _("remove") if placement.how == "remove" else placement.how
            click.echo(f"{placement.path}\t{how}\t{printable(placement.source)}")
    _print_summary(report)


def _print_json(report: Report) -> None:
    """Print one JSON document, streaming the plan because it may have a million lines."""
    head = {"destination": str(report.destination), "dry_run": report.dry_run, "new_files": report.new_files}
    click.echo(json.dumps(head | report.totals(), ensure_ascii=False)[:-1] + ', "placements": [', nl=False)
    for number, placement in enumerate(report.placements()):
        click.echo((", " if number else "") + json.dumps(asdict(placement), ensure_ascii=False), nl=False)
    click.echo("]}")


def _print_summary(report: Report) -> None:
    echo_problems(report.problems)
    line = _("{posts} posts, {files} files ({new} new) at {places} places, {tags} tags").format(
        posts=report.posts, files=report.files, new=report.new_files, places=report.places, tags=report.tags
    )
    more = _("{guesses} dates guessed, {by_model} tagged by the model, {duplicates} duplicates, {n} problems").format(
        guesses=report.guesses, by_model=report.by_model, duplicates=report.duplicates, n=len(report.problems)
    )
    click.echo(f"{line}\n{more}", err=report.dry_run)
    if report.page:
        click.echo(_("See {page}").format(page=report.page))
