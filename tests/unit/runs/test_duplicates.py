"""What stands in a file more than once is asked about once, with all its lines; what stands there once is never."""

from hypothesis import given
from hypothesis import strategies as st

from momo_worker.runs.duplicates import within_file
from momo_worker.runs.rows import Row

ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "E1", "E2", "E3"]),
        st.sampled_from([None, "256772000001", "256772000002", "256772000003"]),
        st.integers(1, 3),
        st.sampled_from([None, None, "sale-1", "sale-2"]),
    ),
    max_size=12,
).map(
    lambda drawn: [
        Row(line, row_id, f"Name {line}", msisdn, amount, collection=collection)
        for line, (row_id, msisdn, amount, collection) in enumerate(drawn, start=2)
    ]
)


@given(ROWS)
def test_each_repetition_is_asked_about_once_with_its_lines(rows: list[Row]) -> None:
    expected = []
    for row in rows:
        alike = [other for other in rows if other.msisdn == row.msisdn]
        if row.msisdn is not None and len(alike) > 1 and alike[0] is row:
            equal = len({other.amount_minor for other in alike}) < len(alike)
            expected.append(("same_number_and_amount" if equal else "same_number", row.line, alike))
        alike = [other for other in rows if other.row_id == row.row_id]
        if row.row_id is not None and alike[0] is row and len({other.msisdn for other in alike}) > 1:
            expected.append(("same_id", row.line, alike))
        alike = [other for other in rows if other.collection == row.collection]
        if row.collection is not None and len(alike) > 1 and alike[0] is row:
            expected.append(("same_collection", row.line, alike))
    asked = within_file(rows, 0)
    assert [(one.kind, one.line) for one in asked] == [(kind, line) for kind, line, _ in expected]
    for one, (_, _, alike) in zip(asked, expected, strict=True):
        assert f"lines {', '.join(str(row.line) for row in alike)}" in one.told
