"""Every mutation still fits the code, every rule has one, and the machinery that tries them catches what is broken and nothing else."""

import pytest
from tests.mutations.__main__ import BEGIN, END, PAGE, known_seeds
from tests.mutations.catalogue import MUTATIONS
from tests.mutations.mutation import ROOT, Edit, Mutation, StaleMutationError, mutated
from tests.mutations.runner import Limits, copied, try_out

#: Caught within one short life each, by three different checkers.
QUICK = ("reference_drawn_at_random", "status_limiter_bypassed", "comparison_skipped")
TINY = Limits(seeds=1, seconds=60.0, jobs=15)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code_as_it_is(mutation: Mutation) -> None:
    for path, text in mutated(mutation).items():
        compile(text, path, "exec")


def test_every_rule_of_money_is_broken_by_one_at_least() -> None:
    assert {mutation.rule for mutation in MUTATIONS} >= {f"M{number}" for number in range(1, 15)}


def test_names_are_unique_and_known_seeds_are_of_mutations_that_exist() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    assert set(known_seeds()) <= set(names)


def test_tests_stand_in_for_the_simulation_only_with_a_reason_and_exist() -> None:
    for mutation in MUTATIONS:
        assert bool(mutation.tests) == bool(mutation.beyond), mutation.name
        assert not (mutation.tests and mutation.mood), mutation.name
        for named in mutation.tests:
            file, _, name = named.partition("::")
            assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8"), named


def test_text_that_moved_on_is_told_and_not_passed_over() -> None:
    edit = Edit("payment/money.py", "this text stands nowhere", "")
    with pytest.raises(StaleMutationError, match="stands 0 times"):
        mutated(Mutation("stale", "M12", "", (edit,)))


def test_a_copy_is_mutated_and_the_checkout_isnt() -> None:
    mutation = MUTATIONS[0]
    path = mutation.edits[0].path
    before = (ROOT / path).read_text(encoding="utf-8")
    with copied(mutation) as folder:
        assert (folder / path).read_text(encoding="utf-8") == mutated(mutation)[path]
    assert (ROOT / path).read_text(encoding="utf-8") == before


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_mutation_is_caught(name: str) -> None:
    (mutation,) = (one for one in MUTATIONS if one.name == name)

    caught = try_out(mutation, 1, TINY)

    assert not caught.through, caught
    assert caught.lives == 1, caught


def test_the_code_as_it_is_gets_through() -> None:
    """Or every row of the table would be worth nothing."""
    harmless = Edit("payment/money.py", "DIGITS_MAX = 15\n", "DIGITS_MAX = 15  # as it was\n")

    caught = try_out(Mutation("harmless", "M12", "nothing", (harmless,), mood="calm=1"), 1, TINY)

    assert caught.by is None, caught
    assert not caught.no_proof, caught


def test_a_named_test_that_meets_broken_code_is_no_proof() -> None:
    """It fails, and says nothing of the rule."""
    edit = Edit("payment/money.py", "    if len(significant) > currency.exponent:\n", "    if {}[currency]:\n")
    named = ("tests/unit/payment/test_money.py",)

    caught = try_out(Mutation("broken_code", "M12", "nothing", (edit,), tests=named, beyond="a test"), None, TINY)

    assert caught.no_proof, caught
    assert caught.through, caught


def test_the_page_has_a_place_for_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert 0 < page.index(BEGIN) < page.index(END)
