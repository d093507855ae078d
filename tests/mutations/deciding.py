"""Mutations of what is decided: M6 to M8. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_LOOK = "payment/after_look.py"

MUTATIONS = (
    # ---- M6 ---------------------------------------------------------------------------------------------------------
    broken(
        "comparison_skipped",
        "M6",
        "every 200 is compared with ours",
        _LOOK,
        "    wrong = mismatch(payment, verdict.facts)",
        "    wrong = None",
        mood="wrong_amount=0.5",
    ),
    broken(
        "amount_not_compared",
        "M6",
        "... amount as Decimal",
        _LOOK,
        "    if facts.amount is not None and not same_amount(",
        "    if facts.amount in () and not same_amount(",
        mood="wrong_amount=0.5",
    ),
    broken(
        "used_reference_adopted",
        "M6",
        "a 409 proves that the reference is used, not by whom",
        "payment/after_send.py",
        "    if verdict.conflict and not explained and not adopting and payment.acknowledged_at_ms is None:",
        "    if verdict.conflict and not explained and adopting and payment.acknowledged_at_ms is None:",
        mood="strangers=1",
    ),
    # ---- M7 ---------------------------------------------------------------------------------------------------------
    broken(
        "unknown_status_taken_as_failed",
        "M7",
        "an unknown status means keep asking",
        "mtn/wire.py",
        "    return Status.PENDING\n",
        '    return Status.PENDING if raw in (None, "PENDING", "CREATED") else Status.FAILED\n',
        mood="unknown_status=0.4",
    ),
    broken(
        "vanished_taken_as_failed",
        "M7",
        "nothing but MTN's own FAILED, a refusal or a person fails a payment",
        _LOOK,
        "        return replace(put_on_desk(counted, HeldCause.VANISHED, moment.now_ms, rules, moment.rng, why), before=payment)",
        '        return Change(payment, ended(counted, State.FAILED, moment.now_ms, "VANISHED", why), Trigger.FOUND_FAILED)',
        mood="vanish=0.4",
    ),
    broken(
        "age_taken_as_failure",
        "M7",
        "age brings a payment to a person, never to an end",
        _LOOK,
        "        return replace(put_on_desk(counted, HeldCause.TOO_OLD, now, rules, moment.rng, why), before=payment)",
        '        return Change(payment, ended(counted, State.FAILED, now, "TOO_OLD", why), Trigger.FOUND_FAILED)',
        mood="lost_before_creation=0.9",
    ),
    # ---- M8 ---------------------------------------------------------------------------------------------------------
    broken(
        "replaced_without_proof",
        "M8",
        "`replaces` needs a failed payment",
        "commons/limits.py",
        "    if replaced.state is not State.FAILED:\n",
        "    if replaced.state is State.SUCCESSFUL:\n",
        mood="replaces=1 late_success=0.3",
    ),
    Mutation(
        "retried_without_proof",
        "M8",
        "a retry is the next attempt number, only when the last is `failed`",
        (
            Edit(
                "payment/operator.py",
                "    if payment.state is not State.FAILED:\n        what, advice = _AGAINST_RETRY[payment.state]\n",
                "    if payment.state is State.SUCCESSFUL:\n        what, advice = _AGAINST_RETRY[payment.state]\n",
            ),
            Edit(
                "payment/operator.py",
                "    unproven = standing.closed_by not in _PROVES_FAILURE or (",
                "    unproven = standing.closed_by in _PROVES_FAILURE and (",
            ),
            Edit(
                "payment/transitions.py",
                "        Edge(s.FAILED, s.ACCEPTED, t.RETRIED, e.ACCEPTED),\n",
                "        *(Edge(b, s.ACCEPTED, t.RETRIED, e.ACCEPTED) for b in s if b is not s.SUCCESSFUL),\n",
            ),
        ),
        mood="retries=1 late_success=0.3 lost_answer=0.2",
    ),
    broken(
        "contradiction_dropped",
        "M8",
        "what MTN says against a final state is never dropped",
        _LOOK,
        "    if is_final(payment):\n        return _against_final(payment, moment, wrong)\n",
        "    if is_final(payment):\n        return Change(payment, payment)\n",
        tests="tests/ledger/test_outcomes.py::test_a_late_success_is_a_contradiction_an_event_and_an_alert",
        beyond="MTN speaks against a final state hours and days after the simulation has come to rest",
    ),
    broken(
        "late_looks_left_out",
        "M8",
        "attempts closed without MTN's own FAILED are looked up again",
        "commons/recording.py",
        "    if change.trigger in _FOLLOWED_LATE:\n",
        "    if change.trigger in ():\n",
        tests="tests/ledger/test_outcomes.py::test_an_attempt_closed_without_mtns_failed_is_looked_up_five_times",
        beyond="late looks come after one hour to thirty days, and the simulation has come to rest by then",
    ),
)
