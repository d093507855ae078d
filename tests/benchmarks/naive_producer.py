"""`python -m tests.benchmarks.naive_producer DOOR COUNT SEED`: the naive application's own enqueuing, a process that no figure counts.

Door `pay`: payments; `countdowns`: polls that are due in an hour. Reads NAIVE_REDIS_URL; prints when it began.
"""

import sys
import time

from tests.benchmarks import naive_app
from tests.benchmarks.producer import jobs

_HOUR_SECONDS = 3600


def main(door: str, count: int, seed: int) -> None:
    print(time.time(), flush=True)
    for number, job in enumerate(jobs(count, seed)):
        if door == "pay":
            naive_app.pay.delay(job["idempotency_key"], job["msisdn"], job["amount"])
        else:
            naive_app.poll.apply_async((job["idempotency_key"], f"reference-{number}"), countdown=_HOUR_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
