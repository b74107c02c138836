"""Share what is costly to make, among threads too that ask for it at the same time."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Cache a function's last four results; threads wait for each other, so that none makes what another is making."""
    kept, lock = lru_cache(maxsize=4)(make), RLock()

    @wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            return kept(*args, **kwargs)  # type: ignore[arg-type]

    return get
