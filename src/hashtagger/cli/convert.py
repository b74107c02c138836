import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Convert a DRN checkpoint to a weights file. OLD is the original study's checkpoint, or one of the "
        "DRN authors' for ImageNet; NEW is the weights file."
    )
)
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
def command(old: str, new: str) -> None:
    """Convert a checkpoint, and print how to name its classes if they have no names."""
    from hashtagger.models.convert import convert

    config = convert(old, new)
    click.echo(
        _("{path}: {architecture}, {n} classes, {size} px").format(
            path=new, architecture=config.architecture, n=len(config.keys), size=config.image_size
        )
    )
    if not config.vocabulary:
        click.echo(
            _(
                "Its classes have numbers, no names: to name them, list the keys 0 to {last} with their tags in a "
                "vocabulary file, and run: hashtagger recommend PHOTO --weights {path} --vocabulary FILE.toml"
            ).format(last=len(config.keys) - 1, path=new),
            err=True,
        )
