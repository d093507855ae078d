"""Mutations of schedules: once per period, mandates, what is held against the claim, asking again (money-review H). Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_RULE = "schedules"
_MANDATES = "commons/mandates.py"
_FIRING = "schedules/firing.py"
_FOLLOWING = "schedules/following.py"
_MANDATE_TESTS = "tests/ledger/test_schedules_mandate.py::"
_FIRING_TESTS = "tests/ledger/test_schedules_firing.py::"
_FOLLOWING_TESTS = "tests/ledger/test_schedules_following.py::"
_BEYOND = "the simulation has no schedules: the simulated year and these tests are their proof"

MUTATIONS = (
    broken(
        "mandate_not_compared",
        _RULE,
        "an ask is held against the list that was signed",
        _MANDATES,
        "        if not covers(mandate, leaf, payer.place, payer.path):\n",
        "        if not leaf.data():\n",
        tests=f"{_MANDATE_TESTS}test_what_was_changed_after_the_signature_goes_to_a_desk",
        beyond=_BEYOND,
    ),
    broken(
        "request_not_compared_with_the_mandate",
        _RULE,
        "... by the very bytes that would leave",
        _MANDATES,
        "        if said is None or said[1] != payment.amount_minor:\n",
        "        if said is None:\n",
        tests="tests/ledger/test_schedules_mandate.py::test_a_stored_request_that_asks_for_more_is_not_sent_again",
        beyond=_BEYOND,
    ),
    broken(
        "asked_again_beyond_what_was_signed",
        _RULE,
        "a payer is asked for no more in a period than was signed, under whatever keys",
        _MANDATES,
        "        if self.out_of_payer.get(payer.key_id, 0) > payer.most_minor:\n",
        "        if not payer.key_id:\n",
        tests="tests/ledger/test_schedules_review.py::test_nobody_is_asked_for_more_in_a_period_than_was_signed_under_whatever_keys",
        beyond=_BEYOND,
    ),
    broken(
        "ceiling_ignored",
        _RULE,
        "a period asks for no more than the ceiling",
        "schedules/rounds.py",
        "    if schedule_dues.out_minor(tx, schedule.id, period) + total_minor > mandate.ceiling_minor:\n",
        "    if total_minor < 0:\n",
        tests=f"{_MANDATE_TESTS}test_a_period_above_the_ceiling_asks_nobody",
        beyond=_BEYOND,
    ),
    broken(
        "maker_approves_a_schedule",
        _RULE,
        "who made a schedule doesn't approve it",
        "schedules/mandating.py",
        "    if person.name == schedule.maker.lower():\n",
        "    if person.name == schedule.maker.upper():\n",
        tests=f"{_MANDATE_TESTS}test_who_made_a_schedule_cant_approve_it",
        beyond=_BEYOND,
    ),
    broken(
        "settled_and_asked",
        _RULE,
        "who has paid by other means is not asked, looked at where the ask would leave",
        _MANDATES,
        "        if payment.amount_minor > due.outstanding_minor:\n",
        "        if payment.amount_minor > due.amount_minor:\n",
        tests=f"{_MANDATE_TESTS}test_who_has_paid_meanwhile_is_not_asked",
        beyond=_BEYOND,
    ),
    broken(
        "ask_of_no_schedule",
        _RULE,
        "what a schedule doesn't ask for now isn't sent",
        _MANDATES,
        '            return self._tampered(f"isn\'t what the schedule {schedule.name} asks for in {self.period}")\n',
        "            return None\n",
        tests=f"{_MANDATE_TESTS}test_a_payment_that_the_schedule_doesnt_ask_for_goes_to_a_desk",
        beyond=_BEYOND,
    ),
    broken(
        "asked_in_quiet_hours",
        _RULE,
        "nobody is asked in quiet hours",
        _MANDATES,
        "        until_ms = self.quiet_until(due.zone or schedule.zone)\n",
        "        until_ms = None\n",
        tests=f"{_MANDATE_TESTS}test_nobody_is_asked_in_quiet_hours_and_all_are_after_them",
        beyond=_BEYOND,
    ),
    broken(
        "a_jumping_clock_is_believed",
        _RULE,
        "a clock that jumped fires nothing until it has stood",
        _FIRING,
        "            if abs(ahead_ms) > _JUMP_MS:\n",
        "            if abs(ahead_ms) > _JUMP_MS * 10**6:\n",
        tests=f"{_FIRING_TESTS}test_a_clock_that_runs_ahead_and_is_set_right_again_asks_nobody",
        beyond=_BEYOND,
    ),
    broken(
        "periods_in_an_order_of_their_own",
        _RULE,
        "each period is decided by its own name, not by what was decided last",
        "schedules/planning.py",
        "    return due(timetable_of(schedule), now_ms, decided, first_day(schedule))\n",
        "    last = max(decided, default=schedule.after_day)\n"
        "    return tuple(one for one in due(timetable_of(schedule), now_ms, decided, first_day(schedule)) if one.name > last)\n",
        tests=f"{_FIRING_TESTS}test_days_that_holidays_put_in_another_order_are_each_decided",
        beyond=_BEYOND,
    ),
    Mutation(
        "fires_while_a_ledger_is_searched",
        _RULE,
        "nothing fires in a recovery",
        (
            Edit(
                _FIRING,
                "            if noticing.in_recovery(tx, self._least):\n                return 0\n            now_ms",
                "            now_ms",
            ),
            Edit(_FIRING, " or noticing.in_recovery(tx, self._least):\n", ":\n"),
        ),
        tests=(f"{_FIRING_TESTS}test_nothing_fires_while_a_restored_ledger_is_searched",),
        beyond=_BEYOND,
    ),
    broken(
        "time_forgotten_before_the_retry",
        _RULE,
        "a kill before a retry loses it not",
        _FOLLOWING,
        '            schedule_dues.change(tx, due, state="asked", why="")\n        self._retry',
        '            schedule_dues.change(tx, due, state="asked", why="", again_at_ms=None)\n        self._retry',
        tests=f"{_FOLLOWING_TESTS}test_a_kill_before_the_next_attempt_loses_neither_it_nor_its_count",
        beyond=_BEYOND,
    ),
    broken(
        "the_whole_asked_again_after_a_part",
        _RULE,
        "after a part was settled only the rest is asked",
        _FOLLOWING,
        "            if payment is None or payment.amount_minor != due.outstanding_minor:\n",
        "            if payment is None:\n",
        tests=f"{_FOLLOWING_TESTS}test_after_a_part_was_paid_the_rest_is_asked_under_a_key_of_its_own",
        beyond=_BEYOND,
    ),
    broken(
        "overpaid_untold",
        _RULE,
        "a success after a settlement is told as overpaid",
        _FOLLOWING,
        "        if now.overpaid_minor:\n",
        "        if now.overpaid_minor < 0:\n",
        tests=f"{_FOLLOWING_TESTS}test_cash_while_the_prompt_is_open_is_told_as_overpaid_with_the_refund_ready",
        beyond=_BEYOND,
    ),
)
