"""Back-off of what keeps failing (CrashLoopBackOff, image pulls): 10 s doubling to 300 s, forgotten after 10 min.

In: keys and the time. Out: how long a key has still to wait. Pure; `now` in seconds.
Called by: pod_worker.py, images.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    delay: float
    updated: float


class Backoff:
    def __init__(self, *, initial: float = 10.0, maximum: float = 300.0) -> None:
        self.initial = initial
        self.maximum = maximum
        self._entries: dict[str, _Entry] = {}

    def next(self, key: str, now: float) -> float:
        """One more failure at `now`: the delay that holds from now on."""
        entry = self._entries.get(key)
        if entry is None or now - entry.updated > 2 * self.maximum:
            entry = self._entries[key] = _Entry(self.initial, now)
        else:
            entry.delay = min(entry.delay * 2, self.maximum)
            entry.updated = now
        return entry.delay

    def delay(self, key: str) -> float:
        entry = self._entries.get(key)
        return entry.delay if entry else 0.0

    def remaining(self, key: str, since: float, now: float) -> float:
        """Seconds still to wait, counted from `since` (when the container finished); 0 when it may be tried."""
        entry = self._entries.get(key)
        if entry is None or now - since > 2 * self.maximum:
            return 0.0
        return max(0.0, since + entry.delay - now)

    def reset(self, key: str) -> None:
        self._entries.pop(key, None)

    def forget(self, prefix: str) -> None:
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]

    def collect(self, now: float) -> None:
        for key in [k for k, e in self._entries.items() if now - e.updated > 2 * self.maximum]:
            del self._entries[key]


def duration_text(seconds: float) -> str:
    """Go's Duration text for whole seconds: 10s, 1m20s, 5m0s."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest}s"
    return f"{minutes // 60}h{minutes % 60}m{rest}s"
