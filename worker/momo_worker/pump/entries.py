"""An entry of the jobs stream comes in, an entry for intake goes out; one that ended its readers is marked as poison. Reads no job."""

from momo_worker.commons.entry import CELERY, STREAM
from momo_worker.payment.job import Problem
from momo_worker.steps import intake
from momo_worker.streams import JOBS, StreamEntry

#: After this many deliveries an entry is taken to end its readers, and is kept as a rejected job.
DELIVERIES_MAX = 4


def entry_of(item: StreamEntry) -> intake.Entry:
    """What the doors make of an entry of the stream."""
    source = f"{JOBS}/{item.id}"
    job, envelope = item.fields.get(b"job"), item.fields.get(b"celery")
    if item.deliveries >= DELIVERIES_MAX:
        problem = Problem(
            "job", "", f"ended its reader {item.deliveries - 1} times", "look at the kept job, and tell us"
        )
        return intake.Entry(source, job or envelope or b"", STREAM, broken=problem, poison=True)
    if envelope is not None and job is None:
        return intake.Entry(source, envelope, CELERY, envelope=True)
    if job is None:
        problem = Problem("job", "", "is missing from the entry", "write it as XADD momo:jobs * job '<json>'")
        return intake.Entry(source, b" ".join(item.fields.keys()), STREAM, broken=problem)
    return intake.Entry(source, job, STREAM)
