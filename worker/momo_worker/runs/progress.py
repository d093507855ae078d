"""How far a run is: its counts at two moments come in, a rate, an honest time to its end and whose turn it is go out. Reads only."""

from dataclasses import dataclass

from momo_worker.approval.people import People
from momo_worker.ledger import run_release, run_signing
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Release, Standing
from momo_worker.ledger.runs import Run
from momo_worker.runs.releasing import pauses_of

#: Less says little of a rate.
_WATCHED_MS_MIN = 5_000
#: A worker that doesn't send a row looks at it again after a minute; by then the first row of any other run has left.
_STILL_MS = 90_000
#: Whose turn it is before the release.
_TURNS = {
    "draft": "waits for its maker: `momo run submit {name}`",
    "submitted": "waits for its approvers: `momo run approve {name}`",
    "approved": "waits for `momo run release {name}`",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at one moment."""

    run: Run
    release: Release | None
    standing: Standing
    pauses: tuple[str, ...]
    now_ms: int
    #: Who signed it and doesn't count under the settings of whoever looks.
    strangers: tuple[str, ...] = ()

    @property
    def ended(self) -> int:
        return self.standing.final


def look(tx: Tx, run: Run, people: People) -> Seen:
    """The run now, for somebody in whose settings these people count."""
    release = run_release.release_of(tx, run.id)
    standing = run_release.standing_of(tx, run.id, release.fed_to if release else 0)
    pauses = tuple(f"{'this run' if pause.run else pause.scope}: {pause.reason}" for pause in pauses_of(tx, run))
    signed = {one.name for one in run_signing.signatures(tx, run.id)}
    return Seen(run, release, standing, pauses, tx.now_ms, tuple(sorted(signed - people.counted.keys())))


def waits_for(seen: Seen) -> str:
    """What somebody must do before more of it is paid; '' where that is nobody's turn."""
    run, release = seen.run, seen.release
    if seen.strangers and (run.state in _TURNS or run.state == "released"):
        return (
            f"no worker under the settings here accepts {', '.join(seen.strangers)}, who signed it: correct first_approver or "
            "approvers.toml, then start `momo up` or the workers again"
        )
    if run.state in _TURNS:
        return _TURNS[run.state].format(name=run.name)
    if run.state != "released" or release is None:
        return ""
    if _stands_still(seen, release):
        return (
            "nothing of it was sent yet, and the workers' log says why; one that was started before first_approver was set as it is "
            "now accepts nobody's signature: start `momo up` or the workers again"
        )
    if release.released_to < run.rows:
        return f"rows {release.released_to + 1:,} to {run.rows:,} wait for `momo run release {run.name}`"
    return ""


def _stands_still(seen: Seen, release: Release) -> bool:
    """Whether rows were handed over and not one was ever sent; only a worker knows what it has against them."""
    begun = seen.now_ms - release.starts_at_ms > _STILL_MS
    return begun and not seen.pauses and set(seen.standing.count) == {"accepted"} and not seen.standing.rejected


def rate_of(first: Seen, seen: Seen) -> float:
    """Rows that ended a second: while this was watched, or since the start where there was too little to see."""
    watched_ms, done = seen.now_ms - first.now_ms, seen.ended - first.ended
    if seen.release is not None and (watched_ms < _WATCHED_MS_MIN or done <= 0):
        watched_ms, done = seen.now_ms - seen.release.starts_at_ms, seen.ended
    return done * 1000 / watched_ms if watched_ms > 0 else 0.0


def left_of(first: Seen, seen: Seen) -> int | None:
    """How long the rest will take at the rate that was seen, in milliseconds; None where nothing can be said."""
    rate = rate_of(first, seen)
    left = seen.run.rows - seen.ended - seen.standing.held
    if seen.pauses or rate <= 0 or left <= 0 or seen.release is None or seen.release.released_to < seen.run.rows:
        return None
    return int(left / rate * 1000)
