"""`hashtagger tag`: tag many photos into a table."""

import json
import sys
from dataclasses import asdict
from typing import Any, Literal

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Tag many photos into a table. INPUT is a photo, a folder, a glob, @FILE (a list with one path or URL per "
        "line; @- reads it from standard input), or a URL that fsspec supports (s3://, gs://, zip://...)."
    )
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--output", "--out", required=True, help=_("Table to write: .parquet, .jsonl or .csv, a path or URL."))
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help=_("Photos that go through the network at once."),
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help=_(
        "Threads that decode photos, by default one more than there are CPUs; with Ray, processes with a network each, "
        "by default one per CPU (or GPU)."
    ),
)
@click.option("--resume", is_flag=True, help=_("Continue an interrupted run of this output."))
@click.option("--vocabulary", help=_("Name or TOML file of the label set; by default that of the weights."))
@click.option("--weights", type=click.Path(), help=_("Weights file, or a network that info lists."))
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help=_("This process, or the workers of a Ray cluster."),
)
@click.option(
    "--address", help=_("The Ray cluster: auto, or its address; by default a new one on this machine, for this run.")
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the summary as JSON."))
def command(
    inputs: tuple[str, ...],
    output: str,
    batch_size: int,
    workers: int | None,
    resume: bool,
    vocabulary: str | None,
    weights: str | None,
    engine: Literal["local", "ray"],
    address: str | None,
    as_json: bool,
) -> None:
    """Tag, show progress, print a summary; exit with 1 if a photo could not be read."""
    from hashtagger.scale.run import tag_photos

    if address is not None and engine != "ray":
        raise click.UsageError(_("--address takes --engine ray"))
    progress = _Progress()
    try:
        report = tag_photos(
            inputs,
            output,
            batch=batch_size,
            workers=workers,
            resume=resume,
            vocabulary=vocabulary,
            weights=weights,
            engine=engine,
            address=address,
            progress=progress.show,
        )
    finally:
        progress.close()
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False))
    elif report.already:
        click.echo(_("{path}: complete already; nothing to do").format(path=report.output))
    else:
        rate = (report.photos - report.resumed) / report.seconds
        click.echo(
            _("{photos} photos, {tagged} of them tagged, in {seconds:.0f} s ({rate:.1f} a second): {output}").format(
                photos=f"{report.photos:,}",
                tagged=f"{report.tagged:,}",
                seconds=report.seconds,
                rate=rate,
                output=report.output,
            )
        )
    if report.failed:
        click.echo(
            _("{failed} of {n} photos could not be read; the column error of {output} says why").format(
                failed=report.failed, n=report.photos, output=report.output
            ),
            err=True,
        )
        sys.exit(1)


class _Progress:
    """A progress bar on standard error that starts where an interrupted run stopped."""

    _bar: Any = None

    def show(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, unit=_("photos"), disable=None)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
