"""`python -m tests.benchmarks.producer DOOR URL COUNT SEED`: an application that enqueues payments by XADD, a process of its own that no figure counts.

Door `stream`: disbursements; `mixed`: bulk work, a fifth of it collections. Prints when it began.
"""

import json
import random
import sys
import time
from collections.abc import Iterator

import redis

_AT_ONCE = 500


def jobs(count: int, seed: int, *, mixed: bool = False) -> Iterator[dict[str, str]]:
    """The same jobs for the same seed, whoever is to pay them."""
    chance = random.Random(seed)
    for number in range(count):
        yield {
            "operation": "collect" if mixed and number % 5 == 0 else "disburse",
            "idempotency_key": f"bench-{seed}-{number}",
            "amount": str(chance.randint(1_000, 900_000)),
            "currency": "UGX",
            "msisdn": f"25677{2_100_000 + number}",
            "external_id": f"EMP-{number}",
            "payer_message": "Salary November",
            "payee_note": "Salary November",
            "lane": "bulk" if mixed else "interactive",
        }


def main(door: str, url: str, count: int, seed: int) -> None:
    print(time.time(), flush=True)
    with redis.Redis.from_url(url) as client:
        pipeline = client.pipeline(transaction=False)
        for number, job in enumerate(jobs(count, seed, mixed=door == "mixed"), start=1):
            pipeline.xadd("momo:jobs", {"job": json.dumps(job)})
            if number % _AT_ONCE == 0:
                pipeline.execute()
        pipeline.execute()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
