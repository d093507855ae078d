"""Mutations of how schedules are made, edited and ended: nobody is asked twice for it. Data only; each text stands once in its file."""

from tests.mutations.mutation import broken

_RULE = "editing"
_EDITING = "schedules/editing.py"
_HOLDING = "schedules/holding.py"
_TESTS = "tests/ledger/test_schedules_editing.py::"
_COMMANDS = "what people type isn't simulated"

MUTATIONS = (
    broken(
        "edit_within_what_was_asked_for",
        _RULE,
        "an edit holds from the first period that begins after the last one decided has ended (H1)",
        _EDITING,
        'schedule = replace(draft, after_day=max(draft.after_day, wish.last_end or ""))',
        "schedule = replace(draft, after_day=draft.after_day)",
        tests=f"{_TESTS}test_an_edit_to_another_measure_holds_after_the_month_that_was_asked_for "
        f"{_TESTS}test_whatever_is_edited_no_day_belongs_to_two_periods_that_asked",
        beyond=_COMMANDS,
    ),
    broken(
        "edit_of_what_has_fired_meanwhile",
        _RULE,
        "what was worked out before a period fired isn't written after it",
        _EDITING,
        "if now != wish.before or schedules.last_end(tx, prepared.schedule.id) != wish.last_end:",
        "if now != wish.before:",
        tests=f"{_TESTS}test_what_was_edited_in_the_same_moment_is_said_again",
        beyond=_COMMANDS,
    ),
    broken(
        "half_a_list_taken",
        _RULE,
        "a list that differs by more than the settable share is held back",
        _EDITING,
        "if permitted.accept_changes or not changes.beyond(permitted.changed_percent_max):",
        "if permitted.accept_changes or changes.larger:",
        tests=f"{_TESTS}test_a_list_that_lost_its_half_is_held_back_until_somebody_says_why",
        beyond=_COMMANDS,
    ),
    broken(
        "declared_anew_at_once",
        _RULE,
        "who was asked by a schedule that was removed in a period that isn't over is asked by another only where somebody says so (H1)",
        "schedules/comparing.py",
        'if one.state != "removed" or _in_its_period(tx, one.schedule_id)]',
        'if one.state != "removed"]',
        tests=f"{_TESTS}test_a_schedule_that_is_declared_anew_in_the_period_it_asked_for_is_held_back",
        beyond=_COMMANDS,
    ),
    broken(
        "payers_without_ids_merged",
        _RULE,
        "a list without ids is refused where numbers repeat (H3)",
        "schedules/payer_file.py",
        "else _numbers_twice(file, said)",
        "else []",
        tests="tests/unit/schedules/test_payer_file.py::test_a_list_without_ids_is_refused_where_a_number_comes_twice",
        beyond="it is decided before there is a schedule",
    ),
    broken(
        "amount_names_the_payer",
        _RULE,
        "a payer without an id of their own is the same one whatever they owe (H3)",
        "schedules/payer_file.py",
        'own_id(namespace, "payer", said.msisdn)',
        'own_id(namespace, "payer", said.msisdn, str(said.amount_minor))',
        tests="tests/unit/schedules/test_payer_file.py::"
        "test_a_list_without_ids_is_taken_where_no_number_comes_twice_and_a_raised_fee_keeps_its_payer",
        beyond="it is decided before there is a schedule",
    ),
    broken(
        "rounds_go_on_under_a_pause",
        _RULE,
        "what is being asked for waits while its schedule is paused",
        _HOLDING,
        '            run_pausing.hold(tx, parts, run, reason=f"{_PAUSED}{reason}", by=by)\n',
        "            assert run\n",
        tests=f"{_TESTS}test_a_pause_stops_periods_and_what_is_being_asked_for_and_a_resume_lets_both_go_on",
        beyond=_COMMANDS,
    ),
    broken(
        "resume_lifts_anybodys_pause",
        _RULE,
        "only a pause's own resume lifts it (M13)",
        _HOLDING,
        "[pause for pause in pauses if pause.reason.startswith(_PAUSED)]",
        "list(pauses)",
        tests=f"{_TESTS}test_a_resume_lifts_no_pause_that_isnt_its_own",
        beyond=_COMMANDS,
    ),
    broken(
        "removed_and_still_asking",
        _RULE,
        "what a removed schedule hasn't sent is never sent",
        _HOLDING,
        "unsent, begun = cancel_unsent(parts, ended, by, reason)",
        "unsent, begun = 0, 0",
        tests=f"{_TESTS}test_what_a_removed_schedule_has_not_sent_is_never_sent",
        beyond=_COMMANDS,
    ),
    broken(
        "another_id_for_another_name",
        _RULE,
        "an entry of schedules.toml is known by its id alone (H1)",
        "schedules/applying.py",
        "known = {one.schedule_id: schedules.find(tx, one.schedule_id) for one in declared}",
        'known = {one.schedule_id: schedules.named(tx, one.account, one.said.name or "") for one in declared}',
        tests=f"{_TESTS}test_what_was_renamed_and_moved_in_the_file_is_the_same_schedule_and_asks_nobody_twice",
        beyond=_COMMANDS,
    ),
)
