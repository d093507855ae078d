"""Mutations of what a person may decide: retry, resolve, release, cancel, and that it is written down. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_STEPS = "steps/operator.py"
_PERSON = "payment/operator.py"
_RESOLVING = "payment/resolving.py"
_RETRY = "tests/ledger/test_retry.py::"
_RESOLVE = "tests/ledger/test_resolve.py::"
_JOURNAL = "the journal is read by people, and by no rule of money"

MUTATIONS = (
    # ---- retry ------------------------------------------------------------------------------------------------------
    broken(
        "retried_what_was_replaced",
        "M8",
        "of a retry and a payment that replaces it only one is ever made",
        _PERSON,
        "    if standing.successor is None:\n",
        "    if standing:\n",
        mood="retries=1 replaces=1 fail=0.6",
    ),
    broken(
        "retried_after_a_contradiction",
        "M8",
        "after a contradiction there is no further attempt",
        _PERSON,
        "    if not standing.contradictions:\n        return None\n",
        "    if standing:\n        return None\n",
        tests=f"{_RETRY}test_after_a_contradiction_a_failed_payment_is_neither_retried_nor_replaced",
        beyond="MTN speaks against a final state hours and days after the simulation has come to rest",
    ),
    broken(
        "retried_for_ever",
        "M8",
        "at most five attempts",
        _PERSON,
        "    if payment.attempt >= rules.attempts_max:\n",
        "    if payment.attempt >= 99:\n",
        tests=f"{_RETRY}test_five_attempts_are_the_most_and_no_event_comes_twice",
        beyond="how often something is tried moves no money twice",
    ),
    broken(
        "retried_refund_not_counted",
        "M14",
        "a failed refund that is retried is added to `refunded` again",
        _STEPS,
        "    if moves.change_refunded(tx, payment.refund_of, payment.amount_minor):\n        return change\n",
        "    if payment.amount_minor:\n        return change\n",
        mood="retries=1 refunds=1 fail=0.4",
    ),
    # ---- resolve ----------------------------------------------------------------------------------------------------
    broken(
        "failed_on_a_persons_word_alone",
        "M8",
        "`resolve failed` needs 24 hours and a fresh `RESOURCE_NOT_FOUND`, or MTN's statement",
        _RESOLVING,
        "    return _may_have_moved(payment, standing, now_ms, said, asked, rules)\n",
        "    return None\n",
        mood="resolves=1 lost_answer=0.4 status_lag=0.3",
    ),
    broken(
        "failed_without_the_day",
        "M8",
        "... 24 hours after the last moment at which a send could have left",
        _RESOLVING,
        "    ripe_at_ms = left_at_ms + (0 if refused_only else rules.resolve_after_ms)\n",
        "    ripe_at_ms = left_at_ms\n",
        mood="resolves=1 lost_answer=0.6 visibility_lag=0.8",
    ),
    broken(
        "silence_taken_for_not_found",
        "M8",
        "... only `RESOURCE_NOT_FOUND`, said to this very command, is a no",
        _RESOLVING,
        "    return None if said.statement is not None else _unproven_absence(asked, left_at_ms, now_ms, rules)\n",
        "    return None\n",
        tests=f"{_RESOLVE}test_without_mtns_word_nothing_is_failed_and_its_statement_stands_in",
        beyond="a day after its last send no payment of the simulation is still open",
    ),
    broken(
        "persons_word_before_mtns",
        "M7",
        "MTN is asked first, and its own word goes before a person's",
        _STEPS,
        "        heard = _mtns_word(tx, parts, payment, standing, found.asked)\n",
        "        heard = None\n",
        tests=f"{_RESOLVE}test_mtns_own_word_goes_before_a_persons",
        beyond="people in the simulation say nothing against MTN's books: whom nobody can hold to account is a liar",
    ),
    # ---- release and cancel -----------------------------------------------------------------------------------------
    Mutation(
        "released_what_was_sent",
        "section 4",
        "only what was never sent is released",
        (
            Edit(_PERSON, "    if sends or payment.acknowledged_at_ms is not None:\n", "    if sends is None:\n"),
            Edit(
                _PERSON,
                "    if payment.held_cause not in _RELEASABLE:\n",
                "    if payment.held_cause is None:\n",
            ),
        ),
        mood="releases=1 lost_before_creation=0.95 spread=1500",
    ),
    Mutation(
        "cancelled_what_was_sent",
        "section 4",
        "a cancel is the guarded move `accepted → cancelled`, of what was never sent",
        (
            Edit(
                _PERSON,
                "    if payment.state is not State.ACCEPTED:\n",
                "    if payment.state not in (State.ACCEPTED, State.UNKNOWN):\n",
            ),
            Edit(_PERSON, "    if doubtful:\n", "    if doubtful is None:\n"),
            Edit(
                "payment/transitions.py",
                "        Edge(s.HELD, s.CANCELLED, t.CANCELLED, e.CANCELLED),\n",
                "        Edge(s.HELD, s.CANCELLED, t.CANCELLED, e.CANCELLED),\n        Edge(s.UNKNOWN, s.CANCELLED, t.CANCELLED, e.CANCELLED),\n",
            ),
        ),
        mood="cancels=1 lost_answer=0.6",
    ),
    broken(
        "cancelled_what_mtn_has",
        "M14",
        "what MTN is known to have is cancelled by nobody, though a restored ledger has no send of it",
        _PERSON,
        "        if payment.acknowledged_at_ms is not None or payment.held_cause not in _CANCELLABLE:\n",
        "        if payment.held_cause is None:\n",
        tests="tests/ledger/test_recovery_doubts.py::test_what_a_search_disputes_is_neither_cancelled_nor_released",
        beyond="in the simulation nobody sends another body under a key whose payment was lost with the ledger",
    ),
    # ---- two at once ------------------------------------------------------------------------------------------------
    broken(
        "move_without_its_guard",
        "M8",
        "a move is one UPDATE under the state that was believed",
        "ledger/moves.py",
        '        schema.payment.c.state == bindparam("guard_state"),\n',
        "",
        tests="tests/ledger/test_schema.py::test_a_move_under_another_state_or_fence_is_lost_and_nothing_of_it_is_kept",
        beyond="every decision is made under its payment's lock, and the guard is the second wall",
    ),
    Mutation(
        "two_operators_win",
        "M8",
        "of two who ask at once one wins",
        (
            Edit(
                "ledger/moves.py",
                "_lock_by_id = _select_by_id.with_for_update(key_share=True)\n",
                "_lock_by_id = _select_by_id\n",
            ),
            Edit(
                "ledger/moves.py",
                '        schema.payment.c.state == bindparam("guard_state"),\n',
                "",
            ),
        ),
        tests=(f"{_RETRY}test_of_two_who_ask_at_once_one_wins_and_the_other_is_told",),
        beyond="SQLite, on which the lives are lived, has one writer at a time",
    ),
    # ---- written down -----------------------------------------------------------------------------------------------
    *(
        broken(
            f"{name}_not_journaled",
            "journal",
            "each decision is journaled with who, when and why",
            _STEPS,
            old,
            "",
            tests=test,
            beyond=_JOURNAL,
        )
        for name, old, test in (
            (
                "cancel",
                '        stops.journal(tx, actor=actor, action="cancel", subject=payment_id, reason=reason)\n',
                f"{_RESOLVE}test_decisions_about_a_payment_are_read_back_in_order",
            ),
            (
                "retry",
                '        stops.journal(tx, actor=by.actor, action="retry", subject=payment_id, reason=by.reason)\n',
                f"{_RETRY}test_a_failed_payment_is_paid_by_its_second_attempt_under_a_reference_of_its_own",
            ),
            (
                "release",
                '        stops.journal(tx, actor=by.actor, action="release", subject=payment_id, reason=by.reason)\n',
                f"{_RESOLVE}test_a_suspected_duplicate_that_is_released_is_paid_once",
            ),
            (
                "resolve",
                "            stops.journal(tx, actor=said.by.actor, action=action, subject=payment_id, reason=resolving.in_words(said))\n",
                f"{_RESOLVE}test_a_day_later_and_with_a_fresh_not_found_a_held_payment_is_failed_by_a_person",
            ),
        )
    ),
)
