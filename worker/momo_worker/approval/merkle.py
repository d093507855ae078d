"""A Merkle tree over a run's rows: leaves come in, a root and each leaf's path to it go out; a path proves that one leaf is under a root.

RFC 9162's tree: leaves and nodes are hashed under different first bytes, and a list is parted at the largest power of two below its
length, so that no two lists of leaves have one root.
"""

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Of one leaf's bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_and_paths(leaves: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """The root over hashed leaves, and for each its path: the neighbours' hashes from the leaf upwards, 32 bytes each."""
    if not leaves:
        raise ValueError("a tree has at least one leaf")
    paths: list[list[bytes]] = [[] for _ in leaves]
    level = [(node, range(place, place + 1)) for place, node in enumerate(leaves)]
    # From the bottom up, an odd one out rises unpaired: the same tree as parting at powers of two from the top down.
    while len(level) > 1:
        above = []
        for at in range(0, len(level) - 1, 2):
            (left, lefts), (right, rights) = level[at], level[at + 1]
            for place in lefts:
                paths[place].append(right)
            for place in rights:
                paths[place].append(left)
            above.append((_node(left, right), range(lefts.start, rights.stop)))
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0][0], [b"".join(path) for path in paths]


def is_under(root: bytes, leaf: bytes, place: int, count: int, path: bytes) -> bool:
    """Whether this hashed leaf stands at this place among `count` leaves under the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= place < count or len(path) % HASH_BYTES:
        return False
    node, last = leaf, count - 1
    for at in range(0, len(path), HASH_BYTES):
        beside = path[at : at + HASH_BYTES]
        if last == 0:
            return False
        if place % 2 or place == last:
            node = _node(beside, node)
            while not place % 2 and place:
                place, last = place >> 1, last >> 1
        else:
            node = _node(node, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root
