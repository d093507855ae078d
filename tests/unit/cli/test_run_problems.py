"""What stands in the copy of a file that couldn't be imported."""

from momo_worker.cli.deeds.run_problems import _short
from momo_worker.runs.fields import Finding


def test_what_is_said_of_the_whole_file_brings_its_value_along():
    whole = Finding(0, "count", "2", "rows were read, and 200 are expected")
    row = Finding(3, "amount", "-3", "is negative")

    assert _short(whole) == "count: 2 rows were read, and 200 are expected"
    assert _short(row) == "amount: is negative", "the value stands beside it"
