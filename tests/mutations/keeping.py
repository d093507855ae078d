"""Mutations of what is kept and who may stop it: M9 to M14. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_RECORDING = "commons/recording.py"
_STOPS = "ledger/stops.py"
_INTAKE = "ledger/intake.py"
_CALLBACK = "steps/callback.py"

MUTATIONS = (
    broken(
        "tally_only_grows",
        "section 4",
        "what is counted by state is what the ledger holds",
        "ledger/engine.py",
        "        if payments or amount_minor:\n",
        "        if payments > 0:\n",
    ),
    # ---- M9 ---------------------------------------------------------------------------------------------------------
    Mutation(
        "event_outside_the_transaction",
        "M9",
        "state, transition row and result event are one transaction",
        (
            Edit(
                _RECORDING, "    edge: Edge | None\n", "    edge: Edge | None\n    event: ResultEvent | None = None\n"
            ),
            Edit(
                _RECORDING,
                "        told.append(Told(replace(change, after=after), edge))",
                "        told.append(Told(replace(change, after=after), edge, events.pop() if events else None))",
            ),
            Edit(
                _RECORDING,
                '    """Log and count what was committed."""\n',
                '    """Log and count what was committed."""\n'
                "    later = [item.event for item in told if item.event is not None]\n"
                "    if later:\n"
                "        with parts.ledger.write() as tx:\n"
                "            moves.add_events(tx, later)\n",
            ),
        ),
        mood="commit_lost=0.1 commit_refused=0.1",
    ),
    broken(
        "relay_above_the_last_id",
        "M9",
        'the relay takes what isn\'t marked published, never "above the last id"',
        "ledger/outbox.py",
        "WHERE published_at_ms IS NULL AND partition IN :partitions ORDER BY",
        "WHERE id > (SELECT coalesce(max(id), 0) FROM outbox WHERE published_at_ms IS NOT NULL) AND partition IN :partitions ORDER BY",
        mood="relay_sleeps=0.3 pump_dies=0.2",
    ),
    Mutation(
        "marked_before_it_left",
        "M9",
        "results are delivered at least once",
        (
            Edit(
                "steps/relay.py",
                "        bodies = [_as_replay(event.body) if event.replayed else event.body for event in waiting]\n",
                "        bodies = [_as_replay(event.body) if event.replayed else event.body for event in waiting]\n"
                "        with self.parts.ledger.write() as tx:\n"
                "            outbox.mark_published(tx, waiting)\n",
            ),
            Edit(
                "steps/relay.py",
                "                outbox.mark_published(tx, events)\n"
                "                installation.keep_results_last_id(tx, last_id)",
                "                installation.keep_results_last_id(tx, last_id)",
            ),
        ),
        mood="pump_dies=0.3",
    ),
    # ---- M10 --------------------------------------------------------------------------------------------------------
    Mutation(
        "unique_index_replaced_by_a_read",
        "M10",
        "the unique index decides who was first, row by row, not a read",
        (
            Edit(
                _INTAKE,
                '    "sqlite": sqlite.insert(schema.payment).on_conflict_do_nothing().returning(schema.payment.c.id),\n'
                '    "postgresql": postgresql.insert(schema.payment).on_conflict_do_nothing().returning(schema.payment.c.id),\n',
                '    "sqlite": sqlite.insert(schema.payment).returning(schema.payment.c.id),\n'
                '    "postgresql": postgresql.insert(schema.payment).returning(schema.payment.c.id),\n',
            ),
            Edit(
                _INTAKE,
                "    ordered = sorted(payments, key=lambda payment: (payment.account, payment.idempotency_key))\n",
                "    known = {row[0] for row in tx.conn.execute(select(schema.payment.c.id))}\n"
                "    ordered = [payment for payment in payments if payment.id not in known]\n"
                "    if not ordered:\n"
                "        return frozenset()\n",
            ),
        ),
        mood="same_job_again=1",
    ),
    broken(
        "other_body_taken_as_the_same",
        "M10",
        "same key, other body: rejected, the first untouched",
        "steps/intake.py",
        "            elif first.body_digest == candidate.payment.body_digest:",
        "            elif first.body_digest:",
        mood="key_reused=0.5",
    ),
    # ---- M11 --------------------------------------------------------------------------------------------------------
    Mutation(
        "callback_writes_a_state",
        "M11",
        "a callback never writes a state",
        (
            Edit(
                _CALLBACK,
                "from momo_worker.payment.payment import Work\nfrom momo_worker.payment.transitions import FINAL_STATES\n",
                "from momo_worker.commons import recording\n"
                "from momo_worker.payment.deciding import ended\n"
                "from momo_worker.payment.payment import Change, Work\n"
                "from momo_worker.payment.transitions import FINAL_STATES, State, Trigger\n",
            ),
            Edit(
                _CALLBACK,
                "        moves.write_payments(tx, [(payment, hinted)])\n",
                "        if payment.state is State.PENDING:\n"
                "            paid = ended(payment, State.SUCCESSFUL, tx.now_ms, None, None)\n"
                "            recording.conclude(tx, parts, [Change(payment, paid, Trigger.FOUND_SUCCESSFUL)])\n"
                "            return True\n"
                "        moves.write_payments(tx, [(payment, hinted)])\n",
            ),
        ),
        mood="callbacks_invented=1 callback_forged=0.3",
    ),
    broken(
        "every_callback_looks",
        "M11",
        "one extra look in ten seconds",
        _CALLBACK,
        "        if payment.hinted_at_ms is not None and tx.now_ms - payment.hinted_at_ms < parts.rules.hint_apart_ms:",
        "        if payment.hinted_at_ms is not None and tx.now_ms < payment.hinted_at_ms:",
        tests="tests/ledger/test_outcomes.py::test_a_hint_brings_the_look_forward_once_in_ten_seconds_and_none_for_a_final_payment",
        beyond="looks that are too many hurt the budget and no payment",
    ),
    # ---- M12 --------------------------------------------------------------------------------------------------------
    broken(
        "amount_through_a_float",
        "M12",
        "no float anywhere",
        "payment/money.py",
        '    minor = int(whole + significant.ljust(currency.exponent, "0"))',
        "    minor = int(float(text) * 10**currency.exponent)",
        tests="tests/unit/payment/test_money.py",
        beyond="the simulation pays in a currency without decimals, as MTN's largest markets do, and there a float is exact",
    ),
    broken(
        "fraction_rounded_away",
        "M12",
        "`150000.50` UGX is refused",
        "payment/money.py",
        "    if len(significant) > currency.exponent:\n",
        "    significant = significant[: currency.exponent]\n    if len(significant) > currency.exponent:\n",
        mood="fractions=1",
    ),
    # ---- M13 --------------------------------------------------------------------------------------------------------
    broken(
        "pause_not_read_in_the_check",
        "M13",
        "M1's check reads the pause",
        "ledger/work.py",
        "SELECT 1 FROM pause AS s WHERE s.lifted_at_ms IS NULL\n",
        "SELECT 1 FROM pause AS s WHERE s.lifted_at_ms < 0\n",
        mood="pauses=1 worker_sleeps=0.5",
    ),
    broken(
        "pause_not_read_at_the_claim",
        "M13",
        "claims leave out what is paused",
        "steps/submission.py",
        "        return where in self._closed or any(pause.covers(*where, payment.run) for pause in self._pauses)",
        "        return where in self._closed",
        mood="pauses=1 message_late=0.3",
    ),
    broken(
        "unreadable_ledger_sends",
        "M13",
        "a ledger that can't be read sends nothing",
        "steps/submission.py",
        "            self._granted, self._read_at = frozenset(), None\n"
        '            raise NotDepartedError("the ledger can\'t be read, so nothing is sent") from error\n',
        '            log.warning("the ledger can\'t be read", why=str(error))\n'
        "            self._granted, self._read_at = frozenset(self._open), asked_at\n"
        "            return\n",
        mood="ledger_unreadable=0.3",
    ),
    broken(
        "resume_lifts_wider_pauses",
        "M13",
        "a narrower resume never lifts a wider pause",
        _STOPS,
        "            schema.pause.c.account == account,\n",
        '            schema.pause.c.account.in_(("", account)),\n',
        mood="pauses_overlap=1 spread=200",
    ),
    # ---- M14 --------------------------------------------------------------------------------------------------------
    broken(
        "refund_not_counted",
        "M14",
        "accepting a refund adds to `refunded` in the same transaction",
        "commons/limits.py",
        "    if moves.change_refunded(tx, collection.id, payment.amount_minor):\n        return None\n",
        "    if payment.amount_minor <= collection.amount_minor:\n        return None\n",
        mood="refunds=1",
    ),
    broken(
        "failed_refund_not_taken_off",
        "M14",
        "a failed or cancelled refund takes it off again",
        _RECORDING,
        "        moves.change_refunded(tx, collection_id, -back[collection_id])",
        "        moves.change_refunded(tx, collection_id, 0)",
        mood="refunds=1 fail=0.3",
    ),
    broken(
        "held_refund_taken_off",
        "M14",
        "*only* a failed or cancelled refund takes it off again",
        _RECORDING,
        "        ended_unpaid = after.state in (State.FAILED, State.CANCELLED) and",
        "        ended_unpaid = after.state in (State.FAILED, State.CANCELLED, State.HELD) and",
        mood="refunds=1 wrong_amount=0.3",
    ),
    broken(
        "refund_of_what_was_not_collected",
        "M14",
        "the collection is `successful`",
        "commons/limits.py",
        "    if collection.state is not State.SUCCESSFUL:\n",
        "    if collection.state is State.CANCELLED:\n",
        mood="refunds=1 late_success=0.3 fail=0.2",
    ),
    broken(
        "refund_in_other_money",
        "M14",
        "the collection is of the same currency, in as many decimals",
        "commons/limits.py",
        "    if (collection.currency, collection.exponent) != (payment.currency, payment.exponent):\n",
        "    if False:\n",
        tests="tests/ledger/test_scale.py::test_a_refund_in_other_money_than_was_collected_is_rejected",
        beyond="an account's pins keep such settings from starting: this is the wall behind them",
    ),
    broken(
        "decimals_not_pinned",
        "M12",
        "minor units stand beside currency and exponent, and mean the same at every start",
        "ledger/installation.py",
        "    if first is not None and first != configured:\n",
        "    if False:\n",
        tests="tests/ledger/test_scale.py::test_a_start_under_other_decimals_is_refused_and_says_what_to_do",
        beyond="a simulated life has one set of settings from its first start to its last",
    ),
    broken(
        "pin_of_another_product_passed_over",
        "M14",
        "the collection is of the same currency: an account has one market, whichever of its products paid first",
        "ledger/installation.py",
        "        _compare_market(account, product, pinned)\n",
        "        if Product(product) in account.credentials:\n            _compare_market(account, product, pinned)\n",
        tests="tests/ledger/test_scale.py::test_an_account_is_held_against_the_pin_of_a_product_that_has_no_credentials_now",
        beyond="a simulated life has one set of settings from its first start to its last",
    ),
)
