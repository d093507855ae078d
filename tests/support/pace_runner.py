"""A process of its own that leaves as often as the limiter lets it, from many threads: when each call left goes out as JSON."""

import json
import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from momo_worker.clock import SystemClock
from momo_worker.pacing import Limiter, NotDepartedError


def main(redis_url: str, threads: int, seconds: float, apart_ms: int) -> None:
    client = redis.Redis.from_url(redis_url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    limiter = Limiter(client, SystemClock())
    left: list[float] = []
    over_at = time.monotonic() + seconds

    def leave() -> None:
        while time.monotonic() < over_at:
            try:
                limiter.wait_for_slot("https://momo|collection|a-key", apart_ms)
            except NotDepartedError:
                continue
            left.append(time.time())

    running = [threading.Thread(target=leave) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    sys.stdout.write(json.dumps(left) + "\n")
    client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
