"""What goes to the workers: a batch of released payments' ids and nothing else."""

from dataclasses import dataclass

from momo_worker.payment.payment import Work

#: How many payments a message carries.
BATCH_SENDS = 100
BATCH_LOOKS = 10


@dataclass(frozen=True, slots=True)
class Message:
    """Which work, which of the workers' queues, and the ids."""

    work: Work
    interactive: bool
    ids: tuple[str, ...]
