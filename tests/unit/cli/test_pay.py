"""What a person is told who waits for an entry that nobody takes."""

from types import SimpleNamespace

import pytest

from momo_worker.cli.deeds.pay import _why_not_yet


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"account": "shop"}', "no account shop here (there are: default)"),
        (b'{"account": "default"}', "does a pump run"),
        (b"{}", "does a pump run"),
        (b"no job", "does a pump run"),
    ],
)
def test_who_waits_in_vain_is_told_what_is_missing(payload, words):
    assert words in _why_not_yet(SimpleNamespace(accounts={"default": None}), payload)
