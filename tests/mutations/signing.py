"""Mutations of what signatures permit a run (section 6 of the design, money-review A). Data only; each text stands once in its file."""

from tests.mutations.mutation import broken

_RULE = "runs"
_SIGNATURES = "commons/signatures.py"
_STATEMENTS = "approval/statements.py"
_TESTS = "tests/ledger/test_runs_signed.py::"
_FEEDING = "tests/ledger/test_runs_feeding.py::"
_BEYOND = "the simulation has no runs: what people sign is tried cell by cell in the tests"

MUTATIONS = (
    broken(
        "leaf_not_recomputed",
        _RULE,
        "submission recomputes the leaf and checks its path to the signed root",
        _SIGNATURES,
        "    if not is_under(bytes.fromhex(given.root), leaf_hash(leaf.data()), row.place - 1, run.rows, row.path):\n",
        "    if not leaf.data():\n",
        tests=f"{_TESTS}test_a_cell_that_was_changed_after_the_approval_keeps_that_row_from_moving",
        beyond=_BEYOND,
    ),
    broken(
        "row_without_its_run_sent",
        _RULE,
        "a payment with a run's key is a run's row, whichever of its names was changed",
        "payment/payment.py",
        "            bool(self.run)\n"
        "            or self.idempotency_key.startswith((RUN_KEYS, SCHEDULE_KEYS))\n"
        "            or self.source.startswith(RUN_KEYS)\n",
        "            bool(self.run)\n",
        tests=f"{_TESTS}test_a_cell_that_was_changed_after_the_approval_keeps_that_row_from_moving",
        beyond=_BEYOND,
    ),
    broken(
        "leaf_without_the_name",
        _RULE,
        "a leaf holds every field of the request, the key, the name and the place",
        "approval/leaves.py",
        "            self.name.encode(),\n",
        '            b"",\n',
        tests=f"{_TESTS}test_a_cell_that_was_changed_after_the_approval_keeps_that_row_from_moving",
        beyond=_BEYOND,
    ),
    broken(
        "signature_not_verified",
        _RULE,
        "an approval is a signature over what the ledger holds now",
        _STATEMENTS,
        "        if person.role is not one.role or not is_signed(person.key, _text_of(terms, one), one.signature):\n",
        "        if person.role is not one.role:\n",
        tests=f"{_TESTS}test_a_run_whose_facts_were_changed_is_paused_and_none_of_it_leaves",
        beyond=_BEYOND,
    ),
    broken(
        "maker_approves",
        _RULE,
        "a maker is never an approver",
        _STATEMENTS,
        "    if maker.lower() in names or names & {one.name for one in made}:\n",
        "    if not names:\n",
        tests="tests/unit/approval/test_statements.py::test_a_maker_is_never_an_approver",
        beyond=_BEYOND,
    ),
    broken(
        "one_approval_for_two",
        _RULE,
        "approvals needed depend on what the account pays in a day",
        _STATEMENTS,
        "    if len(names) < needed:\n",
        "    if not names:\n",
        tests="tests/unit/approval/test_statements.py::test_as_many_as_were_needed_when_it_was_signed",
        beyond=_BEYOND,
    ),
    broken(
        "runs_pause_left_out_of_the_last_look",
        _RULE,
        "a pause has the scope run, too, and M1's check reads it",
        "ledger/work.py",
        "AND s.run IN ('', p.run))",
        "AND s.run = '')",
        tests=f"{_FEEDING}test_a_pause_in_the_middle_of_a_batch_of_a_run_holds",
        beyond=_BEYOND,
    ),
    broken(
        "restored_run_goes_on_by_itself",
        _RULE,
        "a restored run waits for a person: its end may be lost",
        "commons/noticing.py",
        "        run_pausing.hold(tx, parts, run, reason=_RUNS_WAIT, by=recovery.ACTOR)\n",
        "        pass\n",
        tests="tests/ledger/test_runs_restored.py::test_a_restored_run_waits_for_a_person_and_pays_nobody_again",
        beyond=_BEYOND,
    ),
)
