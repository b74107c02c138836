"""Rate limiting of attempts, such as log-ins by name and by address."""

import threading
import time
from collections import defaultdict, deque

from fastapi import HTTPException

from hashtagger.i18n import _

_TRIES, _WINDOW = 8, 15 * 60.0


class Throttle:
    """Counts attempts by key in a sliding window and refuses those above the limit."""

    def __init__(self, tries: int = _TRIES, window: float = _WINDOW) -> None:
        self._tries, self._window = tries, window
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def check(self, key: str, times: int = 1) -> None:
        """Count an attempt.

        Args:
            key: What to count by.
            times: Factor on the limit for this key.

        Raises:
            HTTPException: 429, if the key has reached its limit.
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
        """Reset a key's count after a successful attempt."""
        with self._lock:
            self._times.pop(key, None)
