"""A thread-safe cache for objects that are expensive to create."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Cache a function's last four results; a lock keeps concurrent threads from computing the same one twice."""
    kept, lock = lru_cache(maxsize=4)(make), RLock()

    @wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            return kept(*args, **kwargs)  # type: ignore[arg-type]

    return get
