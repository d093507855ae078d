"""Moments as people type them: words come in, the ledger's milliseconds or a refusal go out."""

import pytest
from tests.support.factories import NOW

from momo_worker.cli.deeds.moments import ago, from_now
from momo_worker.cli.saying import WrongUse
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("text", "span_ms"), [("90s", 90 * SECOND), ("5m", 5 * MINUTE), ("36h", 36 * HOUR), ("7d", 7 * DAY)]
)
def test_a_span_is_before_or_after_now(text: str, span_ms: int) -> None:
    assert ago(text, "--since", NOW) == NOW - span_ms
    assert from_now(text, "--until", NOW) == NOW + span_ms


@pytest.mark.parametrize("text", ["2026-12-01T06:00:00Z", "2026-12-01T09:00:00+03:00"])
def test_a_moment_with_its_zone_is_that_moment(text: str) -> None:
    assert ago(text, "--since", 0) == from_now(text, "--until", 0) == NOW


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-12-01T06:00:00", "2026-12-01", "-5m", "5 m", "5w", "1.5h", "٣h"]
)
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(WrongUse, match=r"--since is .* with its zone"):
        ago(text, "--since", NOW)
