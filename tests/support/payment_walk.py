"""A payment's life by chance, without a ledger or a network: a seed comes in, moves are made by the real decisions, and every rule is held after each.

The world is a clock, one payment with its sends, calls under way that may be answered late or never, and a tiny MTN that knows
for every reference whether it was created. Calls belong to workers that may sleep through their lease and wake whenever they like.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from tests.support import factories as make

from momo_worker.payment import after_look, after_send
from momo_worker.payment.deciding import expired, is_final, put_on_desk
from momo_worker.payment.operator import By, NotPermitted, Retry, Standing, cancel, release, retry
from momo_worker.payment.payment import Change, Payment, Queue, Send, Work
from momo_worker.payment.resolving import Asked, Resolve, resolve
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, Trigger, edge_for
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, SendAnswer, SendVerdict, Status

RULES = make.RULES
LEAPS_MS = (1, 200, 5 * SECOND, 31 * SECOND, 2 * MINUTE, 4 * MINUTE, 20 * MINUTE, HOUR, 7 * HOUR, 26 * HOUR)
LEAPS_WEIGHTS = (6, 8, 20, 40, 20, 20, 6, 4, 1, 2)
TURNED_AWAY = SendVerdict(SendAnswer.NOT_NOW, Cause.TOKEN_REFUSED, http_status=401)
OUR_FAULT = SendVerdict(SendAnswer.NOT_NOW, Cause.CONFIGURATION, code="NOT_ALLOWED", http_status=500)


@dataclass
class Call:
    """A call that a worker has begun: a POST's row, or a look; `verdict` is set once MTN, or the way to it, has answered."""

    attempt: int
    fence: int
    began_at_ms: int
    number: int | None = None
    verdict: SendVerdict | LookVerdict | None = None


@dataclass
class World:
    """One payment among workers that sleep. `step` does something by chance; a broken rule raises AssertionError."""

    rng: random.Random
    now_ms: int = make.NOW
    payment: Payment = field(init=False)
    sends: list[Send] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    #: What MTN has, by attempt (each has its own reference).
    mtn: dict[int, Status] = field(default_factory=dict)
    created_at_ms: dict[int, int] = field(default_factory=dict)
    found: set[int] = field(default_factory=set)
    resolved: set[int] = field(default_factory=set)
    contradictions: list[str] = field(default_factory=list)
    closed_by: Trigger | None = None
    seen: Counter[str] = field(default_factory=Counter)
    #: Workers that are suspended for hours and wake in the middle of a call.
    sleepy: bool = False
    #: How often a POST, or its answer, is lost on the way.
    lossy: float = 0.0
    #: Looks go to another environment than sends did: MTN never finds what it has accepted (money-review S6).
    blind: bool = False

    def __post_init__(self) -> None:
        lasts = self.rng.choice((10 * MINUTE, 3 * HOUR, 7 * DAY))
        self.sleepy = self.rng.random() < 0.4
        self.lossy = self.rng.choice((0.0, 0.05, 0.9))
        self.blind = self.rng.random() < 0.1
        self.payment = make.a_payment(not_after_ms=self.now_ms + lasts)
        if self.rng.random() < 0.1:
            # Taken in as a suspected duplicate: nothing of it was sent.
            desk = {"held_cause": HeldCause.SUSPECT_DUPLICATE, "work": None, "due_at_ms": None}
            self.payment = replace(self.payment, state=State.HELD, **desk)

    @property
    def contradicted(self) -> bool:
        return bool(self.contradictions)

    @property
    def over(self) -> bool:
        """Little can happen any more; what failed may still be tried again, what is held is looked up for months."""
        if is_final(self.payment) and not self.calls:
            return self.payment.state is not State.FAILED or self.rng.random() < 0.1
        return self.payment.state is State.HELD and self.rng.random() < 0.01

    def step(self) -> None:
        """Do one thing that somebody might do at this moment."""
        deeds = [
            self.time_passes,
            self.time_passes,
            self.mtn_moves_on,
            self.callback,
            self.person,
        ]
        deeds += [self.pump, self.pump, self.pump, self.rescue]
        deeds += [self.mtn_answers, self.mtn_answers, self.answer_is_recorded, self.answer_is_recorded, self.late_look]
        self.rng.choice(deeds)()
        self.check()

    # --- time, MTN, people ---

    def time_passes(self) -> None:
        leap_ms = self.rng.choices(LEAPS_MS, LEAPS_WEIGHTS)[0]
        due_ms = self.payment.due_at_ms
        looks = [call for call in self.calls if call.number is None]
        if (looks and self.rng.random() < 0.9) or (self.calls and not self.sleepy):
            leap_ms = min(leap_ms, 5 * SECOND)
        elif due_ms is not None and due_ms > self.now_ms and self.rng.random() < 0.7:
            leap_ms = due_ms - self.now_ms
        self.now_ms += leap_ms

    def mtn_moves_on(self) -> None:
        for attempt, status in self.mtn.items():
            if status is Status.PENDING and self.rng.random() < 0.1:
                self.mtn[attempt] = self.rng.choice((Status.SUCCESSFUL, Status.FAILED))

    def callback(self) -> None:
        if not is_final(self.payment) and self.rng.random() < 0.2:
            due_ms = self.payment.due_at_ms
            if self.payment.work is Work.LOOK and due_ms is not None:
                due_ms = min(due_ms, self.now_ms)
            self.payment = replace(self.payment, hint_at_ms=self.now_ms, due_at_ms=due_ms)

    def person(self) -> None:
        """Whatever a person may ask for, at any moment; refused wherever the rules say so."""
        again = self.payment.state is State.ACCEPTED and self.payment.attempt > 1
        if self.rng.random() < (0.4 if again else 0.05):
            self.cancel()
        elif self.payment.state is not State.FAILED and self.rng.random() < 0.1:
            self.release()
        elif self.rng.random() < (0.3 if self.payment.state is State.FAILED else 0.05):
            self.retry()
        elif not is_final(self.payment) and self.rng.random() < 0.5:
            self.resolve()

    def resolve(self) -> None:
        """The command asks MTN itself; what MTN has is its own word, and goes before a person's."""
        payment = self.payment
        verdict = self.look(payment.attempt)
        if verdict.answer is LookAnswer.FOUND:
            return
        asked = Asked(payment.attempt, self.now_ms, verdict)
        said = Resolve(By("person", "a day has passed"), State.FAILED, "the portal")
        change = resolve(payment, self.standing(), self.now_ms, said, asked, RULES)
        if isinstance(change, NotPermitted):
            self.seen[f"resolve refused: {payment.state}"] += 1
            return
        unknown = [send for send in self.ours() if send.fate_unknown]
        assert not unknown or self.now_ms - max(send.began_at_ms for send in unknown) >= DAY, "resolved within a day"
        assert payment.attempt not in self.mtn or self.blind, "resolved as failed while MTN has it"
        assert not self.contradicted, "resolved as failed against MTN's word"
        self.resolved.add(payment.attempt)
        self.apply(change)

    def cancel(self) -> None:
        change = cancel(self.payment, self.sends, self.now_ms, actor="person", reason="typed twice")
        if isinstance(change, NotPermitted):
            self.seen[f"cancel refused: {self.payment.state}"] += 1
            return
        assert not any(send.left for send in self.ours()), "cancelled though it may have been sent"
        self.apply(change)

    def release(self) -> None:
        change = release(self.payment, self.standing(), self.now_ms, By("person", "both are meant"))
        if isinstance(change, NotPermitted):
            self.seen[f"release refused: {self.payment.state}"] += 1
            return
        assert not self.ours(), "released though it was sent"
        assert not self.contradicted, "released after a contradiction"
        self.apply(change)

    def retry(self) -> None:
        until_ms = self.rng.choice((None, self.now_ms + DAY))
        asked = Retry(By("person", "again"), make.REFERENCE_ID, until_ms)
        change = retry(self.payment, self.standing(), self.now_ms, asked, RULES)
        if isinstance(change, NotPermitted):
            self.seen[f"retry refused: {self.payment.state}"] += 1
            return
        assert not self.contradicted, "retried after a contradiction"
        assert self.payment.attempt < RULES.attempts_max
        self.apply(change)

    def standing(self) -> Standing:
        return Standing(self.sends, self.contradictions, closed_by=self.closed_by)

    # --- the corridor ---

    def pump(self) -> None:
        payment = self.payment
        free = payment.lease_until_ms is None or payment.lease_until_ms <= self.now_ms
        if payment.state is State.SENDING or not free or payment.due_at_ms is None or payment.due_at_ms > self.now_ms:
            return
        if payment.claims_since_word >= RULES.claims_held and payment.state is not State.HELD:
            self.apply(
                put_on_desk(payment, HeldCause.CRASHES, self.now_ms, RULES, self.rng, "claimed and never a word")
            )
        elif payment.work is Work.SEND:
            self.submission()
        elif payment.work is Work.LOOK:
            self.polling()

    def submission(self) -> None:
        payment = self.payment
        if payment.state is State.UNKNOWN and not after_look.resend_permitted(payment, self.ours(), self.now_ms, RULES):
            self.apply(Change(payment, after_look.permission_lost(payment, self.now_ms)))
            return
        if payment.state is State.ACCEPTED and self.now_ms >= payment.not_after_ms:
            self.apply(expired(payment, self.now_ms))
            return
        self.hold_before_a_send()
        trigger = Trigger.RESENT if payment.state is State.UNKNOWN else Trigger.CLAIMED
        after = replace(
            payment,
            state=State.SENDING,
            state_since_ms=self.now_ms,
            fence=payment.fence + 1,
            lease_until_ms=self.now_ms + RULES.lease_ms,
            claims_since_word=payment.claims_since_word + 1,
            first_send_at_ms=payment.first_send_at_ms or self.now_ms,
            sends=payment.sends + 1,
            reference_id=make.REFERENCE_ID,
        )
        self.apply(Change(payment, after, trigger))
        number = max((send.number for send in self.ours()), default=0) + 1
        self.sends.append(Send(payment.id, payment.attempt, number, after.fence, self.now_ms))
        self.calls.append(Call(payment.attempt, after.fence, self.now_ms, number))

    def polling(self) -> None:
        after = make.under_lease(self.payment, until_ms=self.now_ms + RULES.lease_ms)
        self.payment = after
        self.calls.append(Call(after.attempt, after.fence, self.now_ms))

    def late_look(self) -> None:
        """M8: attempts that were closed are looked up again."""
        attempt = self.rng.randint(1, self.payment.attempt)
        if attempt < self.payment.attempt or is_final(self.payment):
            verdict = self.look(attempt)
            self.hear_look(Call(attempt, self.payment.fence, self.now_ms, verdict=verdict), verdict)

    def rescue(self) -> None:
        payment = self.payment
        if payment.state is State.SENDING and (payment.lease_until_ms or 0) <= self.now_ms:
            self.apply(after_send.lease_over(payment, now_ms=self.now_ms, rules=RULES, rng=self.rng))

    # --- calls ---

    def mtn_answers(self) -> None:
        waiting = [call for call in self.calls if call.verdict is None]
        if not waiting:
            return
        call = self.rng.choice(waiting)
        if call.number is not None and self.sleepy and self.rng.random() < 0.97:
            return
        call.verdict = self.look(call.attempt) if call.number is None else self.post(call.attempt)

    def post(self, attempt: int) -> SendVerdict:
        """A POST that reaches MTN creates the payment unless the reference is used; its answer may be lost on the way."""
        way = self.rng.random()
        if way < 0.25:
            return self.rng.choice((make.never_sent(), make.throttled(), TURNED_AWAY, OUR_FAULT))
        if attempt not in self.mtn and self.rng.random() < self.lossy:
            return make.no_answer()
        if attempt in self.mtn:
            return make.no_answer() if way < 0.5 else make.conflict()
        if way < 0.35:
            return make.refused()
        if way < 0.5:
            return make.no_answer()  # lost on the way there
        self.mtn[attempt] = Status.PENDING
        self.created_at_ms[attempt] = self.now_ms
        return make.accepted() if way < 0.75 else make.no_answer()  # or on the way back

    def look(self, attempt: int) -> LookVerdict:
        way = self.rng.random()
        if way < 0.1:
            return self.rng.choice((make.no_word(), make.no_word(retry_after_seconds=60), make.no_slot()))
        status = self.mtn.get(attempt)
        if status is None or self.blind:
            return make.not_found()
        facts = make.facts_of(self.payment, amount="1") if way > 0.99 else make.facts_of(self.payment)
        return {Status.PENDING: make.pending, Status.SUCCESSFUL: make.successful, Status.FAILED: make.failed}[status](
            facts=facts
        )

    def answer_is_recorded(self) -> None:
        answered = [call for call in self.calls if call.verdict is not None]
        if not answered:
            return
        call = self.rng.choice(answered)
        self.calls.remove(call)
        if self.rng.random() < 0.05:
            return  # its worker was killed: the answer is lost, a send stays without an ending
        if isinstance(call.verdict, LookVerdict):
            self.hear_look(call, call.verdict)
        elif isinstance(call.verdict, SendVerdict):
            self.hear_send(call, call.verdict)

    def hear_send(self, call: Call, verdict: SendVerdict) -> None:
        before = self.payment
        report = after_send.SendReport(before.id, call.attempt, call.number or 0, call.fence, 0, verdict)
        ending = after_send.ended_send(report, self.now_ms, unbroken=after_send.unbroken(before, report, self.now_ms))
        begun = next(send for send in self.sends if (send.attempt, send.number) == (call.attempt, call.number))
        self.sends[self.sends.index(begun)] = replace(ending, began_at_ms=begun.began_at_ms)
        sends = [send for send in self.sends if send.attempt == call.attempt]
        self.apply(after_send.decide(before, sends, report, now_ms=self.now_ms, rules=RULES, rng=self.rng))
        positive = verdict.answer is SendAnswer.ACCEPTED
        # Held against the world's own books, not against what the code thinks of its lease.
        unbroken = before.state is State.SENDING and self.under_lease_of(before, call)
        if not positive and not unbroken and not verdict.never_left:
            assert ending.ending is SendAnswer.UNKNOWN
        self.hold_evidence(before, call, positive=positive, unbroken=unbroken)

    def under_lease_of(self, before: Payment, call: Call) -> bool:
        live = before.lease_until_ms is not None and self.now_ms < before.lease_until_ms
        return live and (before.attempt, before.fence) == (call.attempt, call.fence)

    def hear_look(self, call: Call, verdict: LookVerdict) -> None:
        before = self.payment
        report = after_look.LookReport(before.id, call.attempt, call.fence, call.began_at_ms, verdict)
        if verdict.answer is LookAnswer.FOUND:
            self.found.add(call.attempt)
        self.apply(after_look.decide(before, self.ours(), report, now_ms=self.now_ms, rules=RULES, rng=self.rng))
        positive = verdict.answer is LookAnswer.FOUND
        self.hold_evidence(before, call, positive=positive, unbroken=self.under_lease_of(before, call))

    def ours(self) -> list[Send]:
        return [send for send in self.sends if send.attempt == self.payment.attempt]

    # --- the rules ---

    def apply(self, change: Change) -> None:
        before, after = self.payment, change.after
        assert change.before.state is before.state
        if change.trigger is None:
            assert after.state is before.state, "no move without a trigger"
        else:
            edge_for(before.state, after.state, change.trigger)
            self.seen[f"{before.state}-{after.state} by {change.trigger}"] += 1
        if before.state is State.HELD and before.held_cause not in CAUSES_MTN_MAY_END and not change.actor:
            assert after.state is State.HELD, "a person's desk was left without a person"
            assert after.held_cause not in CAUSES_MTN_MAY_END, "a person's desk became MTN's"
        if change.trigger is Trigger.CONTRADICTION:
            assert change.alert
            self.contradictions.append(change.detail or "")
        if after.state is State.FAILED and before.state is not State.FAILED:
            self.closed_by = change.trigger
        if after.state is State.SUCCESSFUL and before.state is not State.SUCCESSFUL:
            assert self.mtn.get(after.attempt) is Status.SUCCESSFUL, "successful without MTN's word"
        self.payment = after

    def hold_before_a_send(self) -> None:
        """What must be true at the moment at which a POST is allowed to leave."""
        payment, attempt = self.payment, self.payment.attempt
        assert not self.contradicted, "a further attempt after a contradiction"
        assert attempt not in self.found, "a send after a 200"
        assert self.now_ms < payment.not_after_ms
        assert not any(send.ending is SendAnswer.ACCEPTED for send in self.ours())
        left = [send for send in self.ours() if send.left]
        assert len(left) < RULES.sends_max
        if payment.state is State.UNKNOWN:
            assert payment.not_found_last_at_ms is not None
            if left:
                assert self.now_ms - min(send.began_at_ms for send in left) < RULES.send_window_ms
            created_ms = self.created_at_ms.get(attempt)
            unseen = created_ms is None or created_ms >= payment.not_found_last_at_ms
            assert unseen or self.blind, "sent again though MTN had it"
        else:
            assert not left, "accepted, though something may have been sent"
            assert attempt not in self.mtn

    def hold_evidence(self, before: Payment, call: Call, *, positive: bool, unbroken: bool) -> None:
        after = self.payment
        if not positive and not unbroken:
            same = (before.state, before.lease_until_ms, before.fence, before.held_cause)
            assert same == (after.state, after.lease_until_ms, after.fence, after.held_cause)
        if positive and call.attempt == before.attempt:
            assert after.state not in {State.ACCEPTED, State.SENDING, State.UNKNOWN}, (
                "MTN has it, and that was not heard"
            )

    def check(self) -> None:
        """What must be true at every moment."""
        payment = self.payment
        if payment.state is State.FAILED and payment.attempt not in self.resolved:
            assert self.mtn.get(payment.attempt) in {None, Status.FAILED}, "failed while MTN has it"
        if payment.state in {State.ACCEPTED, State.CANCELLED}:
            assert payment.attempt not in self.mtn, "MTN has what was never sent"
        for attempt in range(1, payment.attempt + 1):
            unknown = [send for send in self.sends if send.attempt == attempt and send.fate_unknown]
            assert len(unknown) <= RULES.sends_max
        assert (payment.held_cause is not None) == (payment.state is State.HELD)
        self.check_owner()

    def check_owner(self) -> None:
        """Nobody is forgotten: due for what its state asks for, under a lease that rescue watches, or on a desk."""
        payment = self.payment
        if is_final(payment):
            assert (payment.work, payment.due_at_ms, payment.lease_until_ms) == (None, None, None)
        elif payment.state is State.SENDING:
            assert payment.lease_until_ms is not None
        elif payment.state is not State.HELD:
            assert payment.due_at_ms is not None
            assert payment.due_at_ms - self.now_ms <= 2 * HOUR
            wanted = {State.ACCEPTED: {Work.SEND}, State.PENDING: {Work.LOOK}, State.UNKNOWN: {Work.SEND, Work.LOOK}}
            assert payment.work in wanted[payment.state]
        elif payment.work is not None:
            assert payment.work is Work.LOOK
            assert payment.due_at_ms is not None
        if payment.state is State.HELD and payment.held_cause is HeldCause.TOO_OLD:
            assert payment.queue in {Queue.LATE, Queue.RESCUE}


def walk(seed: int, steps: int) -> Counter[str]:
    """Live through payments for so many steps; the moves that were made come back, a broken rule raises with seed and step."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    world = World(rng)
    for step in range(steps):
        try:
            world.step()
        except AssertionError as error:
            story = f"seed {seed}, step {step}: {error}\n{world.payment}\n{world.sends}\nMTN: {world.mtn}"
            raise AssertionError(story) from error
        if world.over:
            seen += world.seen
            world = World(rng)
    return seen + world.seen
