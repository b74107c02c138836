"""Too many tries of late: a count by name and by address."""

import threading
import time
from collections import defaultdict, deque

from fastapi import HTTPException

from hashtagger.i18n import _

_TRIES, _WINDOW = 8, 15 * 60.0


class Throttle:
    """Counts tries by key, and says when there were too many of late."""

    def __init__(self, tries: int = _TRIES, window: float = _WINDOW) -> None:
        self._tries, self._window = tries, window
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def check(self, key: str, times: int = 1) -> None:
        """Count a try.

        Args:
            key: Whose try it is.
            times: How many times as many tries this key has as others.

        Raises:
            HTTPException: 429, when the key had too many tries already.
        """
        moment = time.monotonic()
        with self._lock:
            for old in [old for old, tries in self._times.items() if tries[-1] < moment - self._window]:
                del self._times[old]
            tries = self._times[key]
            while tries and tries[0] < moment - self._window:
                tries.popleft()
            if len(tries) >= self._tries * times:
                wait = max(1, round(tries[0] + self._window - moment))
                raise HTTPException(
                    429, _("too many tries; wait a quarter of an hour"), headers={"Retry-After": str(wait)}
                )
            tries.append(moment)

    def forgive(self, key: str) -> None:
        """Forget a key's tries, once one was right."""
        with self._lock:
            self._times.pop(key, None)
