"""`hashtagger train`."""

import dataclasses
import json
from pathlib import Path

import click

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.training.recipe import Recipe, available, load_recipe, with_model


def _numbers(text: str, name: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise TrainingError(
            _("--{name} {text!r}: give whole numbers, like 64,96").format(name=name, text=text)
        ) from error


def adapt(
    recipe: Recipe, model: str | None, epochs: str | None, size: str | None, vocabulary: str | None = None
) -> Recipe:
    """Override a recipe with options; a single number of epochs is spread over the sizes, at least one for each.

    A different ``model`` drops the options of the recipe's network and uses its own authors' mean and std.

    Raises:
        TrainingError: An option is not a list of numbers, or sizes and epochs do not match.
        ModelError: There is no network of that name.
    """
    sizes = _numbers(size, "size") if size else recipe.sizes
    stages = _numbers(epochs, "epochs") if epochs else recipe.epochs
    if len(stages) == 1 or (not epochs and len(stages) != len(sizes)):
        sizes = sizes[: max(1, sum(stages))]
        share, rest = divmod(sum(stages), len(sizes))
        stages = tuple(share + (stage < rest) for stage in range(len(sizes)))
    if model and model != recipe.model:
        recipe = with_model(recipe, model)
    return dataclasses.replace(
        recipe,
        vocabulary=recipe.vocabulary if vocabulary is None else vocabulary,
        sizes=sizes,
        epochs=stages,
        image_size=sizes[-1] if size or sizes != recipe.sizes else recipe.image_size,
    )


@click.command(help=_("Train a network on the photos of DATA. DATA is class folders, or a manifest (JSON lines)."))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    default="from_scratch",
    show_default=True,
    help=_("Name ({names}) or TOML file of the recipe.").format(names=", ".join(available())),
)
@click.option(
    "--vocabulary",
    help=_("Name or TOML file of the label set, in place of the recipe's; '' takes the class folders' names."),
)
@click.option("--model", help=_("timm name of the network, in place of the recipe's."))
@click.option("--epochs", help=_("Epochs in all, or one number for each size: 8,3."))
@click.option("--size", help=_("Sides in pixels that training goes through: 64,96,128."))
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help=_("Weights file to start from, or pretrained: what the network's authors published (timm downloads it)."),
)
@click.option(
    "--resume",
    is_flag=True,
    help=_("Continue from the last checkpoint in OUT, with the recipe and the photos stored there."),
)
@click.option("--devices", default="auto", show_default=True, help=_("auto, cpu, a number of devices, or 0,1."))
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help=_("Machines that train together; start the same command on each."),
)
@click.option(
    "--strategy", default="auto", show_default=True, help=_("How devices share the work, by Lightning's name: ddp.")
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help=_("Folder of the run."))
@click.option(
    "--report",
    is_flag=True,
    help=_("At the end, calibrate the weights on the held-out photos and write OUT/report."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the run as one JSON document."))
def command(
    data: Path,
    recipe: str,
    vocabulary: str | None,
    model: str | None,
    epochs: str | None,
    size: str | None,
    init: Path | None,
    resume: bool,
    devices: str,
    nodes: int,
    strategy: str,
    out: Path,
    report: bool,
    as_json: bool,
) -> None:
    """Train a network, report on it if asked to, and print the best epoch."""
    from hashtagger.training.evaluate import evaluate
    from hashtagger.training.train import PHOTOS, train

    adapted = adapt(load_recipe(recipe), model, epochs, size, vocabulary)
    try:
        run = train(data, out, adapted, init=init, resume=resume, devices=devices, nodes=nodes, strategy=strategy)
    except KeyboardInterrupt:
        said = _("{path}: stopped; the same command with --resume goes on after the last whole epoch")
        raise KeyboardInterrupt("\n" + said.format(path=out)) from None  # below the progress bar
    if report:
        evaluate(out / PHOTOS, out / "report", run["weights"], calibrate="val")
    for problem in run["problems"]:
        click.echo(problem, err=True)
    if as_json:
        click.echo(json.dumps(run, ensure_ascii=False))
        return
    click.echo(
        _("best epoch {epoch}: top-1 {top1:.3f}, top-3 {top3:.3f}, macro-F1 {f1:.3f}").format(
            epoch=run["best"]["epoch"],
            top1=run["best"]["val_top1"],
            top3=run["best"]["val_top3"],
            f1=run["best"]["val_macro_f1"],
        )
    )
    click.echo(run["weights"])
    if report:
        click.echo(str(out / "report" / "report.md"))
