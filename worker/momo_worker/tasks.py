"""The Celery skin: ids come in, the rooms are entered in their order, which is written here and nowhere else.

`celery -A momo_worker.tasks worker` works as well as `momo worker`; both read the settings of the environment.
"""

# Celery's decorators carry no types.
# mypy: disable-error-code="untyped-decorator"

from celery import Celery

from momo_worker.process import worker_house
from momo_worker.steps import outcome, polling, submission
from momo_worker.wiring import LOOK_TASK, SUBMIT_TASK

house = worker_house()
app: Celery = house.celery


@app.task(name=SUBMIT_TASK)
def submit(ids: list[str]) -> None:
    """Send what is released and due, and record what MTN answered."""
    for reports in submission.send_out(house.parts, ids):
        outcome.record_sends(house.parts, reports)


@app.task(name=LOOK_TASK)
def look(ids: list[str]) -> None:
    """Ask MTN about what is due for a look, and record what it said."""
    for reports in polling.ask(house.parts, ids):
        outcome.record_looks(house.parts, reports)
