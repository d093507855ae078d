"""A path proves its leaf at its place under its root, and nothing else; the tree is RFC 9162's, written down here once more, naively."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.approval.merkle import HASH_BYTES, is_under, leaf_hash, root_and_paths

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def split(count: int) -> int:
    """The largest power of two below the count."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def naive_root(data: list[bytes]) -> bytes:
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    at = split(len(data))
    return hashlib.sha256(b"\x01" + naive_root(data[:at]) + naive_root(data[at:])).digest()


def naive_path(place: int, data: list[bytes]) -> bytes:
    if len(data) == 1:
        return b""
    at = split(len(data))
    if place < at:
        return naive_path(place, data[:at]) + naive_root(data[at:])
    return naive_path(place - at, data[at:]) + naive_root(data[:at])


@given(LEAVES)
def test_root_and_paths_are_those_of_the_definition(data: list[bytes]) -> None:
    root, paths = root_and_paths([leaf_hash(leaf) for leaf in data])
    assert root == naive_root(data)
    assert paths == [naive_path(place, data) for place in range(len(data))]


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=14, unique=True))
def test_a_path_proves_its_leaf_at_its_place_and_no_other(data: list[bytes]) -> None:
    hashed = [leaf_hash(leaf) for leaf in data]
    root, paths = root_and_paths(hashed)
    count = len(data)
    for place, path in enumerate(paths):
        proven = {
            (leaf, at)
            for leaf in range(count)
            for at in range(-1, count + 2)
            if is_under(root, hashed[leaf], at, count, path)
        }
        assert proven == {(place, place)}
        assert not is_under(leaf_hash(b"another root"), hashed[place], place, count, path)


@given(LEAVES, st.data())
def test_a_path_with_one_bit_turned_a_step_more_or_a_step_less_proves_nothing(
    data: list[bytes], draw: st.DataObject
) -> None:
    hashed = [leaf_hash(leaf) for leaf in data]
    root, paths = root_and_paths(hashed)
    place = draw.draw(st.integers(0, len(data) - 1))
    path = paths[place]
    assert is_under(root, hashed[place], place, len(data), path)
    assert not is_under(root, hashed[place], place, len(data), path + hashed[place])
    assert not is_under(root, hashed[place], place, len(data), path + b"\x00")
    if path:
        assert not is_under(root, hashed[place], place, len(data), path[HASH_BYTES:])
        assert not is_under(root, hashed[place], place, len(data), path[:-HASH_BYTES])
        bit = draw.draw(st.integers(0, len(path) * 8 - 1))
        turned = bytearray(path)
        turned[bit // 8] ^= 1 << bit % 8
        assert not is_under(root, hashed[place], place, len(data), bytes(turned))


@given(LEAVES, LEAVES)
def test_two_lists_have_one_root_only_if_they_are_the_same(one: list[bytes], other: list[bytes]) -> None:
    roots = [root_and_paths([leaf_hash(leaf) for leaf in data])[0] for data in (one, other)]
    assert (roots[0] == roots[1]) == (one == other)


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    hashed = [leaf_hash(bytes([place])) for place in range(4)]
    root, _ = root_and_paths(hashed)
    left = root_and_paths(hashed[:2])[0]
    right = root_and_paths(hashed[2:])[0]
    assert root_and_paths([left, right])[0] == root
    assert leaf_hash(hashed[0] + hashed[1]) != left
    assert not is_under(root, left, 0, 4, right)


def test_a_tree_without_leaves_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        root_and_paths([])
    assert not is_under(leaf_hash(b""), leaf_hash(b""), 0, 0, b"")
