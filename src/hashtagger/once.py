"""What is made once and shared, also by threads that ask for it at the same time."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Keep the last four things that a function made; ``lru_cache`` alone lets each waiting thread make its own."""
    kept, lock = lru_cache(maxsize=4)(make), RLock()

    @wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            return kept(*args, **kwargs)  # type: ignore[arg-type]

    return get
