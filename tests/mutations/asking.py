"""Mutations of the manners of asking: one open prompt per account and number, the till first, opt-outs. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_RULE = "asking"
_COMMONS = "commons/prompts.py"
_LEDGER = "ledger/prompts.py"
_TESTS = "tests/ledger/test_prompts.py::"

MUTATIONS = (
    broken(
        "prompt_not_taken",
        _RULE,
        "a number is taken in the transaction of the claim",
        _COMMONS,
        "    if not asking:\n",
        "    if asking:\n",
        mood="calm=1",
    ),
    broken(
        "prompt_freed_too_early",
        _RULE,
        "... and freed by the outcome, not by MTN's taking it",
        _COMMONS,
        "_OVER = FINAL_STATES | {State.ACCEPTED}",
        "_OVER = FINAL_STATES | {State.ACCEPTED, State.PENDING}",
        mood="calm=1",
    ),
    broken(
        "prompt_freed_while_unknown",
        _RULE,
        "a payment whose fate isn't known keeps its number until its row lapses",
        _COMMONS,
        "_OVER = FINAL_STATES | {State.ACCEPTED}",
        "_OVER = FINAL_STATES | {State.ACCEPTED, State.UNKNOWN}",
        mood="lost_after_creation=0.4",
    ),
    broken(
        "prompt_of_another_freed",
        _RULE,
        "another payment's row is never touched",
        _LEDGER,
        '        open_prompt.c.payment_id == bindparam("payment_id"),\n    )\n',
        "        open_prompt.c.payment_id.is_not(None),\n    )\n",
        tests=f"{_TESTS}test_an_unknown_keeps_the_number_and_ends_without_touching_the_row_of_whoever_came_after",
        beyond="only a row that has lapsed is another's while its first payment still moves, and by then no prompt of either stands on the phone",
    ),
    Mutation(
        "prompt_taken_by_a_read",
        _RULE,
        "the row itself says whose the number is, not what was read before",
        (
            Edit(
                _LEDGER,
                "    if _take[tx.dialect].run(tx, rows) == len(rows):\n",
                "    if _take[tx.dialect].run(tx, rows) >= 0:\n",
            ),
        ),
        tests=(f"{_TESTS}test_workers_that_claim_at_once_never_open_two_prompts_on_a_number",),
        beyond="the simulation's transactions follow one another",
    ),
    broken(
        "prompt_lapses_with_the_lease",
        _RULE,
        "six minutes after the last moment at which a send could have left",
        _COMMONS,
        "claimed.lease_until_ms - rules.call_deadline_ms + rules.prompt_ms",
        "claimed.lease_until_ms - rules.call_deadline_ms",
        tests=f"{_TESTS}test_a_number_is_kept_until_six_minutes_after_the_last_moment_at_which_its_send_could_have_left",
        beyond="a prompt that stands for minutes on a phone that somebody else asks just then is rare in a life of forty jobs",
    ),
    broken(
        "bulk_before_the_till",
        _RULE,
        "the till goes before bulk",
        _COMMONS,
        "    tills_first = _yields_to_tills(tx, asking, there)\n",
        "    tills_first: set[Place] = set()\n",
        tests=f"{_TESTS}test_bulk_takes_no_free_number_that_a_till_is_due_on_or_waits_for",
        beyond="who goes first is no property of the books",
    ),
    broken(
        "wait_counted_as_claim",
        _RULE,
        "what waits for a number is no claim and no send",
        _COMMONS,
        "    after = payment.but(released_until_ms=None, due_at_ms=due_at_ms)\n",
        "    after = payment.but(\n"
        "        released_until_ms=None, due_at_ms=due_at_ms, claims_since_word=payment.claims_since_word + 1\n"
        "    )\n",
        tests=f"{_TESTS}test_of_two_collections_from_one_number_one_is_sent_and_the_other_waits_and_says_why",
        beyond="four waits in a row on one number and then a desk, which a person may find there for other reasons, too",
    ),
    broken(
        "opt_out_ignored_at_intake",
        _RULE,
        "who has opted out isn't asked: a new job is rejected",
        "steps/intake.py",
        "        if not found or noticing.in_recovery(self.tx, self.least):\n",
        "        if found or noticing.in_recovery(self.tx, self.least):\n",
        tests=f"{_TESTS}test_a_collection_from_who_has_opted_out_is_rejected_at_intake_and_uses_up_no_key",
        beyond="nobody opts out in the simulation",
    ),
    broken(
        "opt_out_ignored_at_the_claim",
        _RULE,
        "... and what was accepted before is cancelled",
        "steps/submission.py",
        "    unwanted = prompts.opted_out(tx, [claim.before for claim in claims])\n",
        "    unwanted: dict[str, str] = {}\n",
        tests=f"{_TESTS}test_a_collection_that_was_accepted_before_the_opt_out_is_cancelled_at_its_claim_and_never_sent",
        beyond="nobody opts out in the simulation",
    ),
)
