"""Mutations of what leaves the house: M1 to M5, and the pace. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation, broken

_SUBMISSION = "steps/submission.py"
_WORK = "ledger/work.py"
_REASONS = "mtn/reasons.py"
_LOOK = "payment/after_look.py"
_FROZEN = "tests/contract/test_references.py"
_KEPT = "tests/contract/test_client_kept_connections.py"
_SIMULATED_WIRE = "the simulation's answers are whole, and each comes to its own request: it has no bytes on a wire"

MUTATIONS = (
    # ---- M1 ---------------------------------------------------------------------------------------------------------
    broken(
        "check_left_out",
        "M1",
        "at most a second before the first byte the worker reads that the claim is still its own",
        _SUBMISSION,
        "        permit.check(item.held)\n",
        "",
        mood="worker_sleeps=0.5",
    ),
    Mutation(
        "send_row_after_the_call",
        "M1",
        "the claim of an unsent payment is one transaction, with a `send` row without an ending",
        (
            Edit(_SUBMISSION, "        moves.add_sends(tx, [_send_row(item, tx.now_ms) for item in claimed])\n", ""),
            Edit(
                _SUBMISSION,
                "    secondary = _repetition(parts, item, report)\n",
                "    with parts.ledger.write() as tx:\n"
                "        moves.add_sends(tx, [_send_row(item, tx.now_ms)])\n"
                "    secondary = _repetition(parts, item, report)\n",
            ),
        ),
        mood="worker_dies=0.5",
    ),
    broken(
        "lease_ignored",
        "M1",
        "... and that the lease outlasts the call's deadline",
        _WORK,
        "AND p.lease_until_ms > :lease_beyond AND",
        "AND :lease_beyond > 0 AND",
        mood="worker_sleeps=0.6",
    ),
    broken(
        "fence_ignored",
        "M1",
        "... that the claim is still its own, and not another worker's on the same payment",
        _WORK,
        "granted = frozenset(claim for claim in claims if (claim.payment_id, claim.fence) in still)",
        "granted = frozenset(claim for claim in claims if claim.payment_id in {name for name, _ in still})",
        mood="worker_sleeps=0.7 at=claimed sleeps=3000 spread=400",
    ),
    Mutation(
        "permission_never_ages",
        "M1",
        "at most a second before the first byte",
        (
            Edit(
                _SUBMISSION,
                "if self._read_at is None or now - self._read_at > self._age_seconds * _PERMIT_AGE_SHARE:",
                "if self._read_at is None:",
            ),
            Edit(
                _SUBMISSION,
                "if self._read_at is None or self._parts.clock.elapsed() - self._read_at > self._age_seconds:",
                "if self._read_at is None:",
            ),
        ),
        mood="worker_sleeps=0.6",
    ),
    broken(
        "repetition_without_a_row",
        "M1",
        "each POST on the wire is its own send row, also the one repetition after a 401",
        _SUBMISSION,
        "            moves.add_sends(tx, [_send_row(again, tx.now_ms)])\n",
        "",
        mood="unauthorised=0.3",
    ),
    # ---- M2 ---------------------------------------------------------------------------------------------------------
    broken(
        "reference_drawn_at_random",
        "M2",
        "the reference is derived, never drawn",
        "payment/reference.py",
        "    return derive(REFERENCE_RULE, str(namespace), account, operation, key, str(attempt))",
        "    return str(uuid.uuid4())",
        mood="calm=1",
    ),
    broken(
        "reference_without_the_account",
        "M2",
        "the reference is over namespace, account, operation, key and attempt",
        "payment/reference.py",
        "derive(REFERENCE_RULE, str(namespace), account, operation, key, str(attempt))",
        "derive(REFERENCE_RULE, str(namespace), operation, key, str(attempt))",
        mood="calm=1",
    ),
    broken(
        "reference_of_another_rule",
        "M2",
        "frozen examples never change",
        "payment/reference.py",
        'REFERENCE_RULE = "momo-reference-1"',
        'REFERENCE_RULE = "momo-reference-2"',
        tests=_FROZEN,
        beyond="a rule that changed everywhere at once contradicts only what was frozen before",
    ),
    # ---- M3 ---------------------------------------------------------------------------------------------------------
    broken(
        "rendered_again",
        "M3",
        "the body is sent again from the store; nothing is rendered twice",
        _SUBMISSION,
        "            going.append(_Going(change, attempt, fresh=False, number=number, claimed_at_ms=tx.now_ms))",
        '            again = _render(tx, parts, change.after, references.get(payment.refund_of or ""))\n'
        "            going.append(_Going(change, again, fresh=False, number=number, claimed_at_ms=tx.now_ms))",
        mood="settings_change=1 lost_before_creation=0.3 rate_limited=0.3",
    ),
    broken(
        "repeated_without_callback",
        "M3",
        "path, body bytes and callback URL are sent again as they were, also after a 401",
        _SUBMISSION,
        "            again = replace(item, number=item.number + 1)",
        "            again = replace(item, number=item.number + 1, request=replace(item.request, callback_url=None))",
        mood="unauthorised=0.3",
    ),
    # ---- M4 ---------------------------------------------------------------------------------------------------------
    broken(
        "conflict_taken_as_error",
        "M4",
        "a 409 with `RESOURCE_ALREADY_EXIST` is *accepted*",
        _REASONS,
        "(409, Shape.OBJECT, _REFERENCE): (SendAnswer.ACCEPTED, Cause.NONE)",
        "(409, Shape.OBJECT, _REFERENCE): (SendAnswer.REFUSED, Cause.NONE)",
        mood="strangers=1",
    ),
    broken(
        "never_sent_by_exception_class",
        "M4",
        "*never sent* is known from one flag, never from an exception's class",
        "mtn/client.py",
        "            if flight.departed:\n",
        "            if isinstance(error.__cause__, TimeoutError):\n",
        mood="lost_after_creation=0.3",
    ),
    broken(
        "wrong_path_taken_as_refusal",
        "M4",
        "a gateway's 404 to a POST is *not now*: nobody's salary fails for our typo",
        _REASONS,
        "(404, Shape.OBJECT, _GATEWAY): (SendAnswer.NOT_NOW, Cause.CONFIGURATION)",
        "(404, Shape.OBJECT, _GATEWAY): (SendAnswer.REFUSED, Cause.NONE)",
        mood="gateway_not_found=0.1",
    ),
    broken(
        "server_error_taken_as_not_now",
        "M4",
        "a 5xx that the table doesn't list is *unknown*",
        _REASONS,
        "_speaks(code, gateway=gateway)), (SendAnswer.UNKNOWN, Cause.FAULT))",
        "_speaks(code, gateway=gateway)), (SendAnswer.NOT_NOW, Cause.FAULT))",
        mood="error_after_creation=0.2",
    ),
    broken(
        "evidence_without_a_lease",
        "M4",
        "that MTN has it not counts only under an unbroken lease",
        "payment/after_send.py",
        "    if report.verdict.answer is SendAnswer.ACCEPTED or report.verdict.never_left or unbroken:",
        "    if report:",
        mood="worker_sleeps=0.7 rate_limited=0.2 refusal=0.3",
    ),
    broken(
        "refusal_beside_unknown_send",
        "M4",
        "a refusal fails a payment only if none of the attempt's sends was unknown",
        _LOOK,
        "any(send.ending is SendAnswer.REFUSED for send in sends) and not any(send.fate_unknown for send in sends)",
        "any(send.ending is SendAnswer.REFUSED for send in sends)",
        mood="worker_sleeps=0.6 at=permitted refusal=0.4 sleeps=3000 spread=400",
    ),
    Mutation(
        "interim_answer_taken_as_the_answer",
        "M4",
        "a POST has four answers, and an interim one (102) is none of them: the real one would be read as the next payment's",
        (
            Edit("mtn/adapter.py", "    if status < HTTPStatus.OK:\n", "    if status < HTTPStatus.CONTINUE:\n"),
            Edit(
                "mtn/adapter.py",
                "        if conn is not None and not conn.may_be_kept:\n            conn.close()\n",
                "",
            ),
        ),
        tests=(f"{_KEPT}::test_an_interim_answer_to_a_send_is_unknown_and_the_next_send_goes_another_way",),
        beyond=_SIMULATED_WIRE,
    ),
    broken(
        "connection_kept_after_any_answer",
        "M4",
        "a connection is used again only after an answer that was all: a rest would be read as the next payment's answer",
        "mtn/adapter.py",
        "        if conn is not None and not conn.may_be_kept:\n            conn.close()\n",
        "",
        tests=f"{_KEPT}::test_a_connection_whose_answer_may_not_be_all_is_not_used_again",
        beyond=_SIMULATED_WIRE,
    ),
    broken(
        "answer_from_before_the_request",
        "M4",
        "what came on a kept connection before the request left is not its answer",
        "mtn/adapter.py",
        "            if self._kept and not self.is_connected:\n",
        "            if self._kept and self.sock is None:\n",
        tests=f"{_KEPT}::test_what_was_said_before_the_request_left_is_not_its_answer",
        beyond=_SIMULATED_WIRE,
    ),
    # ---- M5 ---------------------------------------------------------------------------------------------------------
    broken(
        "not_found_taken_as_failed",
        "M5",
        "unknown is looked up before anything: a 404 proves no failure",
        _LOOK,
        "    return _after_search(payment, counted, sends, moment)",
        '    gone = ended(payment, State.FAILED, moment.now_ms, "RESOURCE_NOT_FOUND", None)\n'
        "    return Change(payment, gone, Trigger.REFUSAL_CONFIRMED)",
        mood="visibility_lag=0.5 lost_after_creation=0.5",
    ),
    broken(
        "resend_always_permitted",
        "M5",
        "what permits the same reference again is asked once more at the claim: its age, its hours, its count",
        _LOOK,
        "    last = payment.not_found_last_at_ms\n    return (\n",
        "    last = payment.not_found_last_at_ms\n    return True or (\n",
        mood="pumps_away=1 lost_before_creation=0.6 spread=300",
    ),
    broken(
        "sent_again_without_grace",
        "M5",
        "five minutes counted from the last moment at which a send could have left",
        _LOOK,
        "        and last - since >= rules.not_found_grace_ms",
        "        and last >= since",
        mood="lost_before_creation=0.4",
    ),
    broken(
        "one_not_found_suffices",
        "M5",
        "three `RESOURCE_NOT_FOUND`",
        _LOOK,
        "        payment.not_found_count >= rules.not_found_needed\n        and last is not None\n        and last - since",
        "        payment.not_found_count >= 1\n        and last is not None\n        and last - since",
        mood="lost_before_creation=0.3 lost_answer=0.8",
    ),
    Mutation(
        "sent_for_ever",
        "M5",
        "at most three sends",
        (
            Edit(_LOOK, "(proven and left >= rules.sends_max)", "(proven and left >= 99)"),
            Edit(_LOOK, "sum(1 for send in sends if send.left) < rules.sends_max", "bool(rules.sends_max)"),
        ),
        mood="lost_before_creation=0.9",
    ),
    broken(
        "sleepers_send_forgotten",
        "M5",
        "a sleeper's send may have left after the looks that seemed to prove that it never came",
        "payment/after_send.py",
        "        return Change(payment, _searched_from_now(payment, report, now_ms))",
        "        return Change(payment, payment)",
        mood="worker_sleeps=0.9 at=permitted lost_before_creation=0.8",
    ),
    # ---- the pace ---------------------------------------------------------------------------------------------------
    broken(
        "status_limiter_bypassed",
        "pace",
        "the limiter is asked where the call leaves, for every GET by reference",
        "commons/asking.py",
        "        request, lambda: parts.slots.wait(account, product, look=True)\n",
        "        request, lambda: None\n",
        mood="calm=1",
    ),
)
