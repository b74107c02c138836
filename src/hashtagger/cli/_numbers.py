"""Numbers on the command line."""

import math
from typing import Any

import click

from hashtagger.i18n import _


class Probability(click.FloatRange):
    """A number in 0..1. click's own range lets NaN through, which is neither below 0 nor above 1."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn an argument into a number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(_("{value} is not in the range {range}.").format(value=value, range="0<=x<=1"), param, ctx)
        return number
