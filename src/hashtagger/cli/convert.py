import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Convert a DRN checkpoint OLD (the original study's, or the DRN authors' for ImageNet) to the weights file NEW."
    )
)
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
def command(old: str, new: str) -> None:
    """Convert a checkpoint."""
    from hashtagger.models.convert import convert

    config = convert(old, new)
    click.echo(
        _("{path}: {architecture}, {n} classes, {size} px").format(
            path=new, architecture=config.architecture, n=len(config.keys), size=config.image_size
        )
    )
