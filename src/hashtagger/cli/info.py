"""`hashtagger info`."""

import json
from typing import Any

import click

from hashtagger.i18n import _


@click.command(
    help=_(
        "Say what is installed and which runtime is used. It also says what is shipped, why that runtime is "
        "used, and what it costs."
    )
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON document."))
def command(as_json: bool) -> None:
    """Print what is installed, and each network's runtime."""
    from hashtagger.info import describe

    said = describe()
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=False, indent=2))
        return
    click.echo(f"hashtagger {said['version']}, Python {said['python']}, {said['system']}")
    click.echo(_("CPU: {name}, {cores} cores").format(**said["cpu"]))
    click.echo(_("computes on: {device}").format(device=_device(said)))
    runtimes = (f"{name} {number or _('not installed')}" for name, number in said["runtimes"].items())
    click.echo(_("runtimes: {list}").format(list=", ".join(runtimes)))
    for one in said["vocabularies"]:
        click.echo()
        click.echo(click.style(one["name"], bold=True) + f"  {one['title']}")
        for line in _lines(one, _device(said) if one.get("runtime") == "torch" else "cpu (float32)"):
            click.echo(f"  {line}")


def _device(said: dict[str, Any]) -> str:
    return f"{said['device']} ({'bfloat16' if said['bfloat16'] else 'float32'})"


def _lines(one: dict[str, Any], device: str) -> list[str]:
    if one["weights"] is None:
        return [_("{labels} labels, no weights").format(**one)]
    if "error" in one:
        return [_("Error: {message}").format(message=one["error"])]
    lines = [
        _("{learned} of {labels} labels, {architecture}, {image_size} px, threshold {threshold:.0%}").format(**one),
        _("weights: {path}, {size:.1f} MB").format(path=one["weights"], size=one["bytes"] / 1e6),
    ]
    for name, figures in one["figures"].items():
        if isinstance(figures, dict) and "top1" in figures:
            top1 = figures["top1"]["value"]
            said = _("{name}: top-1 {top1:.3f} of {photos} photos")
            lines.append(said.format(name=name, top1=top1, photos=figures["photos"]))
    lines.append(_("runtime: {runtime}, {why}").format(runtime=one["runtime"], why=one["why"]))
    cost = one["cost"]
    if cost:
        lines.append(
            _("its cost: top-1 {top1:.4f}, in float32 {top1_float:.4f} ({photos} photos)").format(**cost)
            if "top1" in cost
            else _("its cost was not measured")
        )
    else:
        lines.append(_("its cost: none but rounding, {device}").format(device=device))
    return lines
