"""Jobs become payments, or the same payment once more, or a rejection: entries come in, ids to release go out. Drops nothing a producer sends.

The unique index decides who was first, row by row (M10); a rejection speaks of the entry alone and uses up no key.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from momo_worker.accounts import Account, SameAgain
from momo_worker.commons import noticing, prompts, recording
from momo_worker.commons.earlier_entry import ask_about_keys_that_wait, payment_of
from momo_worker.commons.entry import AGAIN, Entry, Taken, run_of
from momo_worker.commons.limits import count_against_limits, doubted, may_fit_later
from momo_worker.commons.new_payment import (
    Origin,
    check_key_is_free,
    check_metadata,
    look_alikes,
    new_payment,
    same_again_reason,
    taken_in,
)
from momo_worker.commons.parts import Parts
from momo_worker.commons.taken_log import log_taken
from momo_worker.ledger import asked_first, installation, intake, moves, outbox, rereading
from momo_worker.ledger.engine import Tx
from momo_worker.payment.deciding import put_on_desk
from momo_worker.payment.envelope import fields_of_envelope
from momo_worker.payment.events import ResultEvent, payment_event, rejection_event
from momo_worker.payment.job import Job, JobError, Problem, Terms, account_of, check_job, parse_fields, shown
from momo_worker.payment.payment import PRODUCT_OF, Payment
from momo_worker.payment.transitions import EventType, HeldCause

#: What a door hands in and gets back is asked for here.
__all__ = ["AGAIN", "Entry", "Taken", "reject_waiting", "retry_waiting", "take_in"]

#: How many of a job's problems its rejection tells: a producer that sends a thousand unknown fields has one mistake.
_PROBLEMS_TOLD = 20
_PIECE = 500


class _UnknownAccountError(Exception):
    """The job names an account that this process doesn't know: what may be right tomorrow waits (money-review I8)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"account {name} isn't configured in this process")
        advice = "configure the account, or name another one, and send the job again"
        self.problem = Problem("account", name, "isn't configured here, and wasn't while the job waited", advice)


@dataclass(frozen=True, slots=True)
class _Candidate:
    entry: Entry
    job: Job
    payment: Payment
    account: Account


def take_in(parts: Parts, entries: Sequence[Entry]) -> Taken:
    """Take a batch of entries into the ledger in one transaction; only after it has returned may they be acknowledged."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        batch = _Batch(tx, parts, least)
        batch.take(entries)
    recording.tell(parts, batch.told)
    batch.log_taken()
    return batch.taken()


class _Batch:
    """One transaction's worth of entries."""

    def __init__(self, tx: Tx, parts: Parts, least: int) -> None:
        self.tx, self.parts, self.least = tx, parts, least
        self.accepted: list[_Candidate] = []
        self.repeated: list[str] = []
        self.rejected: list[tuple[Entry, list[dict[str, str]]]] = []
        self.waiting: list[Entry] = []
        self.left: list[Entry] = []
        self.unconfigured: list[Entry] = []
        self.told: list[recording.Told] = []
        self.events: list[ResultEvent] = []
        self.held: set[str] = set()
        self.look_alike: dict[str, str] = {}
        self.pins: dict[str, str | None] = {}

    def take(self, entries: Sequence[Entry]) -> None:
        unread = rereading.unread(self.tx, self.least)
        self.left = [entry for entry in entries if unread and entry.stream_id and unread.has(entry.stream_id)]
        entries = [entry for entry in entries if entry not in self.left]
        settled = intake.rejected_among(self.tx, [entry.source for entry in entries])
        # What was rejected stays rejected: its producer may have paid another way since (money-review I5).
        found = (self.candidate(entry) for entry in entries if entry.source not in settled)
        candidates = [candidate for candidate in found if candidate is not None]
        while candidates:
            candidates = self.place(candidates)
        outbox.publish_latest_again(self.tx, sorted(set(self.repeated)))
        self.write_accepted()

    def place(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Insert what is new and answer what isn't; returns those whose place became free again, because the first under it was refused."""
        fresh, others = self.insert(candidates)
        self.lock_named(fresh)
        freed: set[str] = set()
        fresh, unasked = self.part_unasked(fresh)
        for candidate in unasked:
            freed |= {candidate.payment.id, candidate.payment.replaces or ""}
        # Sorted, since two pumps that count in opposite order would wait for each other's rows.
        for candidate in sorted(fresh, key=lambda one: one.account.name):
            if self.within_limits(candidate):
                self.accepted.append(candidate)
            else:
                freed |= {candidate.payment.id, candidate.payment.replaces or ""}
        again = [one for one in others if one.payment.id in freed or (one.payment.replaces or None) in freed]
        self.answer_known([one for one in others if one not in again])
        return again

    def part_unasked(self, fresh: Sequence[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
        """Refuse new collections from whoever has opted out, and take them back; what is left, and what isn't.

        What a lost ledger may have accepted isn't refused: it is asked about, and at its claim nothing is sent.
        """
        asked = [one.payment for one in fresh if not one.entry.again]
        found = prompts.refusals(self.tx, asked)
        if not found or noticing.in_recovery(self.tx, self.least):
            return list(fresh), []
        unasked = [one for one in fresh if one.payment.id in found]
        for candidate in unasked:
            intake.take_back(self.tx, candidate.payment)
            self.reject(candidate.entry, [found[candidate.payment.id]])
        return [one for one in fresh if one.payment.id not in found], unasked

    def lock_named(self, fresh: Sequence[_Candidate]) -> None:
        """Lock what refunds and corrections speak of in one order, before any of it is counted."""
        named = {name for one in fresh for name in (one.payment.refund_of, one.payment.replaces) if name is not None}
        moves.lock(self.tx, sorted(named))

    def candidate(self, entry: Entry) -> _Candidate | None:
        """The payment this entry would be, before anybody asks whether the key is new."""
        if entry.broken is not None:
            self.refuse_broken(entry, entry.broken)
            return None
        try:
            fields = fields_of_envelope(entry.payload) if entry.envelope else parse_fields(entry.payload)
            account = self.account(account_of(fields))
            job = check_job(fields, Terms(account.market.currency, account.market.region))
            check_metadata(job.metadata)
            check_key_is_free(job, entry.run)
        except JobError as error:
            self.reject(entry, error.problems)
            return None
        except RecursionError:
            self.reject(entry, [Problem("job", "", "is nested too deeply", "send a flat JSON object")])
            return None
        except _UnknownAccountError as error:
            self.wait_for_account(entry, error)
            return None
        try:
            return _Candidate(entry, job, self.payment(entry, job, account), account)
        except JobError as error:
            self.refuse(entry, account, job, error.problems)
        except _UnknownAccountError as error:
            self.wait_for_account(entry, error)
        return None

    def refuse_broken(self, entry: Entry, problem: Problem) -> None:
        """Keep what never was a job; poison that had become a payment before it ended its reader is that payment once more."""
        known = intake.accepted_from(self.tx, entry.source) if entry.poison else None
        if known is None:
            self.reject(entry, [problem])
        else:
            self.repeated.append(known)

    def account(self, name: str) -> Account:
        account = self.parts.accounts.get(name)
        if account is None:
            raise _UnknownAccountError(name)
        if name not in self.pins:
            self.pins[name] = installation.pin_problem(self.tx, account)
        if self.pins[name] is not None:
            # The settings of this process are wrong, and not the job.
            raise _UnknownAccountError(name)
        return account

    def payment(self, entry: Entry, job: Job, account: Account) -> Payment:
        if PRODUCT_OF[job.operation] not in account.credentials:
            raise _UnknownAccountError(f"{account.name} ({PRODUCT_OF[job.operation].value})")
        refunded = self.other(account, "refund_of", job.refund_of)
        replaced = self.other(account, "replaces", job.replaces)
        origin = Origin(entry.source, entry.run, self.tx.now_ms)
        return new_payment(self.parts, job, account, origin, refunded=refunded, replaced=replaced)

    def other(self, account: Account, field: str, key: str | None) -> Payment | None:
        """The payment another field of the job names by its key."""
        if key is None:
            return None
        found = intake.by_key(self.tx, account.name, [key]).get(key)
        if found is None:
            advice = "give the idempotency_key of a payment that was accepted"
            raise JobError([Problem(field, key, "is no payment of this account", advice)])
        return found

    def insert(self, candidates: Sequence[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
        """Insert what is new; the others are the same payment again, or a reused key."""
        # A run's rows that look alike were asked about when it was imported, and somebody answered.
        pairs = [(candidate.payment, candidate.account) for candidate in candidates if not candidate.entry.run]
        self.look_alike.update(look_alikes(self.tx, pairs, self.parts.rules.same_again_ms))
        inserted = set(intake.add_payments(self.tx, [candidate.payment for candidate in candidates]))
        fresh, others = [], []
        for candidate in candidates:
            if candidate.payment.id in inserted:
                inserted.discard(candidate.payment.id)
                fresh.append(candidate)
            else:
                others.append(candidate)
        return fresh, others

    def answer_known(self, candidates: Sequence[_Candidate]) -> None:
        known = moves.read(self.tx, sorted({candidate.payment.id for candidate in candidates}))
        asked_first.met_again(self.tx, [met for one in candidates if (met := _met(known, one)) is not None])
        for candidate in candidates:
            first = known.get(candidate.payment.id)
            if first is None:
                # Another unique rule refused the row, and only `replaces` has one besides the key.
                problem = Problem(
                    "replaces",
                    shown(candidate.job.replaces),
                    "was replaced by another payment already",
                    "look that one up",
                )
                self.refuse(candidate.entry, candidate.account, candidate.job, [problem])
            elif first.body_digest == candidate.payment.body_digest:
                self.repeated.append(first.id)
            else:
                problem = Problem(
                    "idempotency_key",
                    first.idempotency_key,
                    "was used for another payment",
                    "the first goes on untouched; send a different payment under a key of its own, and never this one again",
                )
                self.reject(
                    candidate.entry,
                    [problem],
                    {"payment_id": first.id, "state": first.state.value, "code": "key_reused"},
                )

    def within_limits(self, candidate: _Candidate) -> bool:
        """M14, `replaces` and the account's direct limit; what they refuse is taken back before anyone sees it."""
        one, rules = candidate, self.parts.rules
        problem = count_against_limits(self.tx, one.payment, one.job, one.account, rules, direct=not one.entry.again)
        if problem is None:
            return True
        intake.take_back(self.tx, candidate.payment)
        self.refuse(candidate.entry, candidate.account, candidate.job, [problem])
        return False

    def write_accepted(self) -> None:
        """Transition and event of every payment that was taken in; the hold of suspected duplicates."""
        accounts = {candidate.account.name: candidate.account for candidate in self.accepted}
        installation.pin_accounts(self.tx, [accounts[name] for name in sorted(accounts)], write=True)
        transitions, holds = [], []
        epoch = installation.epoch(self.tx)
        for candidate in self.accepted:
            payment = candidate.payment
            first = self.look_alike.get(payment.id)
            reason = same_again_reason(first) if first else None
            transitions.append(taken_in(payment, first))
            told = (self.parts.namespace, epoch, payment, EventType.ACCEPTED, self.tx.now_ms, reason)
            self.events.append(payment_event(*told))
            if first and candidate.account.same_again is SameAgain.HOLD:
                why = f"same operation, number and amount as {first} within ten minutes"
                holds.append(
                    put_on_desk(
                        payment, HeldCause.SUSPECT_DUPLICATE, self.tx.now_ms, self.parts.rules, self.parts.rng, why
                    )
                )
        moves.add_transitions(self.tx, transitions)
        waited = [(one.payment, one.entry.waits_since_ms) for one in self.accepted]
        asked_first.accepted_late(self.tx, waited)
        if epoch > asked_first.FIRST_EPOCH:
            accepted_from = [(one.payment, one.entry.source) for one in self.accepted]
            waiting = {one: one in self.unconfigured for one in self.waiting}
            ask_about_keys_that_wait(self.tx, self.parts, accepted_from, waiting)
        # Before the holds, whose events come second.
        moves.add_events(self.tx, self.events)
        # Nothing was sent, so there is nothing to look up: only a person moves it on.
        unmoved = [replace(change, after=replace(change.after, work=None, due_at_ms=None)) for change in holds]
        self.told += recording.conclude(self.tx, self.parts, unmoved)
        self.held = {change.before.id for change in holds}

    def reject(self, entry: Entry, problems: Sequence[Problem], facts: Mapping[str, Any] | None = None) -> None:
        errors = [{**problem.as_dict(), "field": shown(problem.field)} for problem in problems[:_PROBLEMS_TOLD]]
        if facts:
            errors = [{**errors[0], **facts}, *errors[1:]]
        if intake.add_rejected(self.tx, entry.source, entry.payload, json.dumps(errors, ensure_ascii=True)):
            self.rejected.append((entry, errors))
            self.events.append(
                rejection_event(self.parts.namespace, entry.source, errors, dict(facts or {}), self.tx.now_ms)
            )

    def refuse(self, entry: Entry, account: Account, job: Job, problems: Sequence[Problem]) -> None:
        """A refusal that rests on what the ledger knows. In a restored one what the job speaks of may not have come back yet: so it waits."""
        named = job.refund_of or job.replaces
        back = (entry.again or named is not None) and noticing.in_recovery(self.tx, self.least)
        waits = entry.waits_since_ms is not None
        if back or (named and may_fit_later(self.tx, self.parts.rules, account.name, named, waits=waits)):
            self.wait(entry, f"{problems[0].field} {problems[0].reason}")
        else:
            self.reject(entry, doubted(self.tx, self.parts.rules, problems) if named else problems)

    def wait_for_account(self, entry: Entry, error: _UnknownAccountError) -> None:
        waited_ms = self.tx.now_ms - (entry.waits_since_ms or self.tx.now_ms)
        rules = self.parts.rules
        # What is read again the lost ledger may have paid: told as rejected after an hour, it would be paid in another way.
        patience_ms = rules.recovery_adopt_ms if entry.again else rules.unknown_account_ms
        if waited_ms >= patience_ms and not noticing.in_recovery(self.tx, self.least):
            self.reject(entry, [error.problem])
            return
        self.unconfigured.append(entry)
        self.wait(entry, str(error))

    def wait(self, entry: Entry, why: str) -> None:
        self.waiting.append(entry)
        waited_ms = self.tx.now_ms - (entry.waits_since_ms or self.tx.now_ms)
        retry_at_ms = self.tx.now_ms + self.parts.rules.waiting_job_ms(waited_ms)
        intake.keep_waiting(
            self.tx,
            entry.source,
            entry.payload,
            why,
            retry_at_ms,
            door=entry.door,
            envelope=entry.envelope,
            payment_id=payment_of(self.parts.namespace, entry.payload, envelope=entry.envelope),
        )

    def log_taken(self) -> None:
        """Told after the commit."""
        accepted = [(one.entry, one.payment) for one in self.accepted]
        log_taken(self.parts, accepted, self.rejected, self.unconfigured, self.look_alike)

    def taken(self) -> Taken:
        at_once = [
            c.payment.id
            for c in self.accepted
            if c.payment.released_until_ms is not None and c.payment.id not in self.held
        ]
        return Taken(
            tuple(at_once),
            tuple(candidate.payment.id for candidate in self.accepted),
            tuple(self.repeated),
            tuple(entry.source for entry, _ in self.rejected),
            tuple(entry.source for entry in self.waiting),
            tuple(entry.source for entry in self.left),
        )


def _met(known: Mapping[str, Payment], candidate: _Candidate) -> asked_first.Met | None:
    first, entry = known.get(candidate.payment.id), candidate.entry
    if first is None or entry.known_since_ms is None:
        return None
    source = entry.source if first.body_digest == candidate.payment.body_digest else None
    return asked_first.Met(first, source, entry.known_since_ms, first=entry.waits_since_ms is None)


def _waiting_entry(job: intake.WaitingJob) -> Entry:
    run, since_ms = run_of(job.door, job.source), job.first_seen_at_ms
    return Entry(job.source, job.payload, job.door, job.envelope, waits_since_ms=since_ms, run=run)


def retry_waiting(parts: Parts, *, limit: int) -> Taken:
    """Try waiting jobs again; after an hour they are rejected."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        # What a restored ledger still has waiting may have ended before it was lost: the stream says how.
        due = [] if rereading.unread(tx, least) else intake.waiting_due(tx, limit=limit)
        batch = _Batch(tx, parts, least)
        batch.take([_waiting_entry(job) for job in due])
        # A recovery may have begun since it was asked: what is left goes on waiting, until the stream says how it ended.
        still = {entry.source for entry in (*batch.waiting, *batch.left)}
        intake.end_waiting(tx, [job.source for job in due if job.source not in still])
    recording.tell(parts, batch.told)
    batch.log_taken()
    return batch.taken()


def reject_waiting(parts: Parts, told: Mapping[str, Problem]) -> None:
    """Reject the waiting jobs of these sources: the lost ledger told so, and their producers may have paid in another way since (money-review I5)."""
    sources, least = sorted(told), parts.tidemark.least()
    for at in range(0, len(sources), _PIECE):
        with parts.ledger.write() as tx:
            jobs = intake.waiting_among(tx, sources[at : at + _PIECE])
            batch = _Batch(tx, parts, least)
            batch.take([replace(_waiting_entry(job), door=AGAIN, broken=told[job.source]) for job in jobs])
            intake.end_waiting(tx, [job.source for job in jobs])
        recording.tell(parts, batch.told)
        batch.log_taken()
