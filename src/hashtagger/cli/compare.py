"""`hashtagger compare`."""

import json
from pathlib import Path

import click

from hashtagger.cli.train import adapt
from hashtagger.i18n import _
from hashtagger.training import recipe as recipes
from hashtagger.training import sweep as sweeps


@click.command(
    help=_(
        "Train several networks and compare them in one table. Each is trained on the photos of DATA with the"
        " same budget."
    )
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--models", help=_("timm names of the networks: drn_c_26,resnet50,sequential_cnn."))
@click.option(
    "--sweep",
    help=_("In place of --models: name ({names}) or TOML file of a sweep.").format(names=", ".join(sweeps.available())),
)
@click.option(
    "--recipe",
    default="from_scratch",
    show_default=True,
    help=_("With --models: name ({names}) or TOML file of the recipe.").format(names=", ".join(recipes.available())),
)
@click.option(
    "--vocabulary",
    help=_("Name or TOML file of the label set, in place of the recipe's; '' takes the class folders' names."),
)
@click.option("--epochs", help=_("Epochs in all, or one number for each size: 8,3."))
@click.option("--size", help=_("Sides in pixels that training goes through: 64,96,128."))
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help=_("Weights file to start from, or pretrained: what the network's authors published (timm downloads it)."),
)
@click.option("--devices", default="auto", show_default=True, help=_("auto or 1 (a GPU where there is one), or cpu."))
@click.option("--out", required=True, type=click.Path(path_type=Path), help=_("Folder of the runs and tables."))
@click.option("--json", "as_json", is_flag=True, help=_("Print the rows as one JSON document."))
def command(
    data: Path,
    models: str | None,
    sweep: str | None,
    recipe: str,
    vocabulary: str | None,
    epochs: str | None,
    size: str | None,
    init: Path | None,
    devices: str,
    out: Path,
    as_json: bool,
) -> None:
    """Train the networks and print the table that compares them."""
    if (models is None) == (sweep is None):
        raise click.UsageError(_("give either --models or --sweep"))
    from hashtagger.training.compare import compare
    from hashtagger.training.compare_report import to_markdown

    if sweep is not None:
        tries = sweeps.load_sweep(sweep)
    else:
        names = [name for part in str(models).split(",") if (name := part.strip())]
        if not names:
            raise click.UsageError(_("give either --models or --sweep"))
        if len(set(names)) < len(names):
            raise click.UsageError(_("--models names a network twice"))
        tries = {name: recipes.load_recipe(recipe) for name in names}
    tries = {name: adapt(one, None if sweep else name, epochs, size, vocabulary) for name, one in tries.items()}
    rows = compare(data, out, tries, init=init, devices=devices)
    click.echo(json.dumps(rows, ensure_ascii=False) if as_json else to_markdown(rows), nl=as_json)
    click.echo(str(out / "scatter.png"), err=True)
