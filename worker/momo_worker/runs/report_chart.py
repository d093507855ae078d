"""A report's picture: rows counted by state come in, one inline SVG of bars goes out, told apart by pattern and words and not by colour. Pure."""

from collections.abc import Sequence
from html import escape

from momo_worker.payment.transitions import State
from momo_worker.runs.outcomes import Beyond

_BAR_HEIGHT, _STEP, _LEFT, _WIDTH = 18, 28, 190, 420
_PATTERN_OF = {
    State.SUCCESSFUL.value: "full",
    State.FAILED.value: "slanted",
    Beyond.REJECTED.value: "slanted",
    State.CANCELLED.value: "lined",
    Beyond.NEVER.value: "lined",
    State.HELD.value: "dotted",
}
_PATTERNS = (
    '<defs><pattern id="slanted" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><rect width="3" height="6" fill="#333"/></pattern>'
    '<pattern id="lined" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect width="4" height="4" fill="#fff"/><rect width="4" height="1.5" fill="#555"/></pattern>'
    '<pattern id="dotted" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="#fff"/><circle cx="3" cy="3" r="1.6" fill="#333"/></pattern></defs>'
)


def bars(counted: Sequence[tuple[str, str, int, str]], total: int) -> str:
    """One bar for each state: the state, its words, its rows and its money as text, out of so many rows."""
    height = len(counted) * _STEP + 8
    title = "Rows by state: " + ", ".join(f"{words} {rows:,}" for _, words, rows, _ in counted)
    parts = [
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + 250} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        _PATTERNS,
    ]
    for place, (state, words, rows, money) in enumerate(counted):
        # Whole numbers to the pixel; whatever isn't nothing is seen.
        width = max(2, _WIDTH * rows // max(total, 1)) if rows else 0
        pattern = _PATTERN_OF.get(state)
        fill = "#111" if pattern == "full" else f"url(#{pattern})" if pattern else "#fff"
        top = place * _STEP + 4
        parts.append(
            f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(words)}</text>'
            f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR_HEIGHT}" fill="{fill}" stroke="#111"/>'
            f'<text x="{_LEFT + width + 8}" y="{top + 13}">{rows:,} · {escape(money)}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)
