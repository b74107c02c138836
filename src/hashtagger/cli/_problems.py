"""Problems of many files, printed so that they can be read."""

from collections import defaultdict
from collections.abc import Iterable

import click

from hashtagger.i18n import _
from hashtagger.posts.post import Problem

_NAMED = 5
"""Files with one and the same problem that are each named; of more only the first is, with how many there are."""


def echo_problems(problems: Iterable[Problem]) -> None:
    """Print problems to stderr, those with the same cause together."""
    locations = defaultdict(list)
    for problem in problems:
        locations[problem.cause].append(problem.location)
    for cause, (first, *others) in locations.items():
        alike = [_("{file} and {count} more").format(file=first, count=len(others))]
        for location in alike if len(others) >= _NAMED else [first, *others]:
            click.echo(f"{location}: {cause}", err=True)
