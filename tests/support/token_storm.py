"""A process of its own that wants one token from many threads at once: addresses come in as arguments, what each thread got goes out as JSON."""

import json
import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.mtn_world import a_token_source, an_account

from momo_worker.mtn.errors import MtnError


def main(base_url: str, redis_url: str, threads: int) -> None:
    client = redis.Redis.from_url(redis_url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    source = a_token_source(an_account(base_url), client=client)
    together = threading.Barrier(threads + 1)
    got: list[str] = []

    def want() -> None:
        together.wait()
        try:
            got.append(source.current().value)
        except MtnError as error:
            got.append(error.cause.value)

    running = [threading.Thread(target=want) for _ in range(threads)]
    for thread in running:
        thread.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    together.wait()
    for thread in running:
        thread.join()
    sys.stdout.write(json.dumps(got) + "\n")
    source.close()
    client.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
