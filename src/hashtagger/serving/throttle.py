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

    def check(self, *keys: str) -> None:
        """Count a try.

        Raises:
            HTTPException: 429, when a key had too many tries already.
        """
        moment = time.monotonic()
        with self._lock:
            for key in [key for key, times in self._times.items() if times[-1] < moment - self._window]:
                del self._times[key]
            for key in keys:
                times = self._times[key]
                while times and times[0] < moment - self._window:
                    times.popleft()
                if len(times) >= self._tries:
                    wait = max(1, round(times[0] + self._window - moment))
                    raise HTTPException(
                        429, _("too many tries; wait a quarter of an hour"), headers={"Retry-After": str(wait)}
                    )
            for key in keys:
                self._times[key].append(moment)

    def forgive(self, *keys: str) -> None:
        """Forget a key's tries, once one was right."""
        with self._lock:
            for key in keys:
                self._times.pop(key, None)
