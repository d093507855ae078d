"""`python -I celery_by_name.py URL FILE`: jobs come in, one JSON object a line; each goes out as a Celery task by its name. Knows no code of ours.

An import of `momo_worker` fails in here, so that the demo shows what it says: an application needs Celery and a task's name.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

from celery import Celery


class Forbidden(MetaPathFinder):
    """Lets nobody import the worker."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] == "momo_worker":
            raise ImportError(f"{fullname} belongs to the worker, and this is an application", path, target)
        return None


def main() -> int:
    """Send every line as a task; says how many."""
    sys.meta_path.insert(0, Forbidden())
    try:
        importlib.import_module("momo_worker")
    except ImportError:
        pass
    else:
        raise SystemExit("this application can import the worker, and must not")
    app = Celery(broker=sys.argv[1])
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    with app.connection_for_write() as connection, app.amqp.producer_pool.acquire() as producer:
        del connection
        for line in lines:
            job = json.loads(line)
            app.send_task(f"momo.{job.pop('operation')}", kwargs=job, queue="momo-intake", producer=producer)
    sys.stdout.write(f"{len(lines)} jobs enqueued by Celery task name\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
