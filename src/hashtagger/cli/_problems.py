"""Print the problems of many files in readable form."""

from collections import defaultdict
from collections.abc import Iterable

import click

from hashtagger.i18n import _
from hashtagger.posts.post import Problem

_NAMED = 5
"""How many files with the same problem are listed one by one; of more, only the first and a count are shown."""


def echo_problems(problems: Iterable[Problem]) -> None:
    """Print problems to stderr, grouped by cause."""
    locations = defaultdict(list)
    for problem in problems:
        locations[problem.cause].append(problem.location)
    for cause, (first, *others) in locations.items():
        summary = [_("{file} and {count} more").format(file=first, count=len(others))]
        for location in summary if len(others) >= _NAMED else [first, *others]:
            click.echo(f"{location}: {cause}", err=True)
