"""The graph: every state has a way in and, unless it is final, a way out; what must never be has no edge."""

from collections import Counter

import pytest

from momo_worker.payment.transitions import (
    BY_PERSON,
    CAUSES_MTN_MAY_END,
    EDGES,
    FINAL_EVENTS,
    FINAL_STATES,
    EventType,
    ForbiddenMoveError,
    HeldCause,
    State,
    Trigger,
    edge_for,
    mermaid,
)

MOVES = [edge for edge in EDGES if edge.before is not edge.after]
BY_MACHINE = [edge for edge in MOVES if edge.trigger not in BY_PERSON]


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_from_nothing(state: State) -> None:
    reached: set[State | None] = {None}
    for _ in State:
        reached |= {edge.after for edge in EDGES if edge.before in reached}
    assert state in reached


@pytest.mark.parametrize("state", sorted(set(State) - FINAL_STATES))
def test_from_every_open_state_the_machine_alone_can_reach_an_end(state: State) -> None:
    reached = {state}
    for _ in State:
        reached |= {edge.after for edge in BY_MACHINE if edge.before in reached}
    assert reached & FINAL_STATES


def test_the_final_states_are_those_that_only_a_person_leads_out_of() -> None:
    assert {State.SUCCESSFUL, State.FAILED, State.CANCELLED} == FINAL_STATES
    # But for the search after a restore, which learns that a lost ledger had opened the next attempt.
    by_machine = {edge for edge in BY_MACHINE if edge.trigger is not Trigger.ADOPTED}
    assert {edge.before for edge in by_machine}.isdisjoint(FINAL_STATES)


def test_only_a_failed_payment_is_ever_opened_again() -> None:
    assert [(edge.before, edge.after, edge.trigger) for edge in MOVES if edge.before in FINAL_STATES] == [
        (State.FAILED, State.ACCEPTED, Trigger.RETRIED),
        (State.FAILED, State.PENDING, Trigger.ADOPTED),
    ]


def test_what_may_have_been_sent_never_goes_back_to_accepted() -> None:
    """S4: it could be cancelled there, and then be paid."""
    assert {edge.before for edge in MOVES if edge.after is State.ACCEPTED} == {
        None,
        State.SENDING,
        State.HELD,
        State.FAILED,
    }
    assert {edge.trigger for edge in EDGES if (edge.before, edge.after) == (State.SENDING, State.ACCEPTED)} == {
        Trigger.NOT_NOW
    }
    assert {edge.trigger for edge in EDGES if (edge.before, edge.after) == (State.HELD, State.ACCEPTED)} <= BY_PERSON


def test_cancelled_is_reached_from_accepted_and_from_a_desk_by_a_person_only() -> None:
    ways = {(edge.before, edge.trigger) for edge in EDGES if edge.after is State.CANCELLED and edge in MOVES}
    assert ways == {
        (State.ACCEPTED, Trigger.CANCELLED),
        (State.ACCEPTED, Trigger.EXPIRED),
        (State.HELD, Trigger.CANCELLED),
    }


def test_only_mtn_a_confirmed_refusal_or_a_person_fails_a_payment() -> None:
    """M7: neither age nor a lost lease nor any "not now" does."""
    ways = {edge.trigger for edge in MOVES if edge.after is State.FAILED and edge.before is not State.ACCEPTED}
    assert ways == {Trigger.FOUND_FAILED, Trigger.REFUSAL_CONFIRMED, Trigger.RESOLVED}
    # What was proven failed before its retry was asked for stays so when the retry comes to nothing.
    given_back = {edge.trigger for edge in MOVES if (edge.before, edge.after) == (State.ACCEPTED, State.FAILED)}
    assert given_back == {Trigger.RETRY_CANCELLED, Trigger.EXPIRED}
    confirmed = {edge.before for edge in EDGES if edge.trigger is Trigger.REFUSAL_CONFIRMED}
    assert confirmed == {State.UNKNOWN}


def test_only_mtn_or_a_person_makes_a_payment_successful() -> None:
    assert {edge.trigger for edge in MOVES if edge.after is State.SUCCESSFUL} == {
        Trigger.FOUND_SUCCESSFUL,
        Trigger.RESOLVED,
    }


def test_a_send_begins_from_accepted_or_straight_from_unknown() -> None:
    assert {(edge.before, edge.trigger) for edge in EDGES if edge.after is State.SENDING and edge in MOVES} == {
        (State.ACCEPTED, Trigger.CLAIMED),
        (State.UNKNOWN, Trigger.RESENT),
    }


def test_a_contradiction_is_told_in_every_state_and_stops_what_may_still_be_sent() -> None:
    told = {edge.before: edge for edge in EDGES if edge.trigger is Trigger.CONTRADICTION and edge not in MOVES}
    assert set(told) == set(State)
    stopped = {(edge.before, edge.after) for edge in MOVES if edge.trigger is Trigger.CONTRADICTION}
    assert stopped == {(before, State.HELD) for before in (State.ACCEPTED, State.SENDING, State.UNKNOWN)}


#: design.md 6.2: the event that tells of having come to a state.
TELLS = {
    State.ACCEPTED: EventType.ACCEPTED,
    State.UNKNOWN: EventType.UNKNOWN,
    State.PENDING: EventType.PENDING,
    State.HELD: EventType.HELD,
    State.SUCCESSFUL: EventType.SUCCESSFUL,
    State.FAILED: EventType.FAILED,
    State.CANCELLED: EventType.CANCELLED,
}


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.before}-{edge.after} by {edge.trigger}")
def test_the_event_of_an_edge_is_the_one_of_the_state_it_leads_to(edge) -> None:
    if edge.trigger is Trigger.CONTRADICTION:
        assert edge.event is EventType.CONTRADICTED
    elif edge.after is State.SENDING or edge.trigger is Trigger.NOT_NOW:
        # Not news for a consumer: the payment is as accepted, or as unknown, as it was told to be.
        assert edge.event is (EventType.UNKNOWN if edge.after is State.UNKNOWN else None)
    else:
        assert edge.event is TELLS[edge.after]


def test_the_final_events_are_those_of_the_final_states() -> None:
    assert {TELLS[state] for state in FINAL_STATES} == FINAL_EVENTS


def test_no_move_stands_twice() -> None:
    counted = Counter((edge.before, edge.after, edge.trigger) for edge in EDGES)
    assert max(counted.values()) == 1


def test_every_trigger_pulls_something() -> None:
    assert {edge.trigger for edge in EDGES} == set(Trigger)


def test_a_move_that_the_graph_does_not_have_raises_with_both_ends() -> None:
    with pytest.raises(ForbiddenMoveError, match="from unknown to accepted by not_now"):
        edge_for(State.UNKNOWN, State.ACCEPTED, Trigger.NOT_NOW)
    assert edge_for(None, State.ACCEPTED, Trigger.TAKEN_IN).event is EventType.ACCEPTED


def test_mtn_may_end_no_desk_whose_payment_may_be_somebody_elses() -> None:
    assert set(HeldCause) - CAUSES_MTN_MAY_END == {HeldCause.MISMATCH, HeldCause.REFERENCE_USED, HeldCause.TAMPERED}


def test_the_picture_has_every_arrow() -> None:
    drawn = mermaid().splitlines()
    assert drawn[0] == "stateDiagram-v2"
    assert sum(" --> " in line for line in drawn) == len(EDGES) + len(FINAL_STATES)
    assert "    accepted --> sending: claimed" in drawn
    assert "    pending --> successful: found_successful / momo.payment.successful" in drawn
