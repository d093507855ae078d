"""Every request and what it was answered come in, counts, peaks and arrival times go out. In memory only; money is recorded in the store."""

import sys
from collections import Counter, deque
from typing import Any, NamedTuple

_LOG_LENGTH = 200_000
_OVERRUNS_KEPT = 1_000
WINDOW_SECONDS = 1.0


class Post(NamedTuple):
    """One POST as it arrived; a tuple, since hundreds of thousands are kept."""

    sequence: int
    at: float
    operation: str
    reference: str
    answer: str


class SlidingWindow:
    """Counts what arrived within the last second; the peak is over every such window, wherever it begins."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.peak = 0

    def arrive(self, now: float) -> int:
        count = self.count(now) + 1
        self._times.append(now)
        self.peak = max(self.peak, count)
        return count

    def count(self, now: float) -> int:
        while self._times and self._times[0] <= now - WINDOW_SECONDS:
            self._times.popleft()
        return len(self._times)

    @property
    def oldest(self) -> float | None:
        return self._times[0] if self._times else None


class Record:
    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.answers: Counter[tuple[str, str]] = Counter()
        self.tokens: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter()
        self.overruns: deque[dict[str, Any]] = deque(maxlen=_OVERRUNS_KEPT)
        self.overrun_count = 0
        self.posts: deque[Post] = deque(maxlen=_LOG_LENGTH)
        self._post_sequence = 0
        self.own_errors = 0
        self._windows: dict[str, SlidingWindow] = {}
        self._granted: dict[str, SlidingWindow] = {}

    def answered(self, name: str, label: str) -> None:
        self.answers[name, label] += 1

    def posted(self, at: float, operation: str, reference: str, label: str) -> None:
        self._post_sequence += 1
        self.posts.append(Post(self._post_sequence, at, operation, reference, sys.intern(label)))

    def status_read(self, subscription: str, now: float, cap: int, reference: str) -> bool:
        """Count one status read; true if it was within the cap. An overrun is kept with its time."""
        count = self._windows.setdefault(subscription, SlidingWindow()).arrive(now)
        if count <= cap:
            return True
        self.overrun_count += 1
        self.overruns.append({"at": now, "subscription": subscription, "count": count, "reference": reference})
        return False

    def may_read(self, subscription: str, now: float, cap: int) -> float:
        """With the cap enforced, refused reads don't fill the window: 0 if this one may pass, else the seconds to wait."""
        window = self._granted.setdefault(subscription, SlidingWindow())
        if window.count(now) < cap:
            window.arrive(now)
            return 0.0
        return (window.oldest or now) + WINDOW_SECONDS - now

    def as_json(self) -> dict[str, Any]:
        requests: dict[str, dict[str, int]] = {}
        for (name, label), count in sorted(self.answers.items()):
            requests.setdefault(name, {})[label] = count
        return {
            "started_at": self.started_at,
            "requests": requests,
            "token_requests": dict(self.tokens),
            "peak_status_reads_per_second": {name: window.peak for name, window in self._windows.items()},
            "overrun_count": self.overrun_count,
            "overruns": list(self.overruns),
            "callbacks": dict(self.callbacks),
            "own_errors": self.own_errors,
        }
