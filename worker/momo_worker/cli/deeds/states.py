"""The graph of a payment's life, as the code has it: drawn, listed, or as JSON."""

from momo_worker.cli.saying import say, say_json
from momo_worker.payment import transitions
from momo_worker.payment.transitions import EDGES, FINAL_STATES, State


def states(*, mermaid: bool, as_json: bool) -> None:
    """Show every state and edge."""
    if mermaid:
        say(transitions.mermaid().rstrip("\n"))
        return
    rows = [
        {
            "before": edge.before.value if edge.before else None,
            "after": edge.after.value,
            "by": edge.trigger.value,
            "event": edge.event.value if edge.event else None,
        }
        for edge in EDGES
    ]
    if as_json:
        say_json({"states": [{"state": one.value, "final": one in FINAL_STATES} for one in State], "edges": rows})
        return
    for state in [None, *State]:
        name = state.value if state else "(nothing)"
        say(f"{name}{' — final' if state in FINAL_STATES else ''}")
        for row in rows:
            if row["before"] == (state.value if state else None):
                event = f"  ▶ {row['event']}" if row["event"] else ""
                say(f"    → {row['after']}  by {row['by']}{event}")
