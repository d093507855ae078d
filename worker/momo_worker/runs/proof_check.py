"""Checks a run's proof pack, a zip that `momo run proof` wrote: its path comes in, what doesn't hold goes out, each with its place.

The last part of every pack's verify.py, which needs Python 3.11 or later, the package `cryptography`, and nothing of ours.
Usage: python3 verify.py PACK.zip. Exit code 0: all of it holds; 1: something doesn't; 2: no pack was named. It writes nothing.
"""

import hashlib
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from momo_worker.runs.proof_reading import (
    FILES,
    FORMAT,
    MANIFEST,
    PROBLEMS_TOLD,
    START,
    Checked,
    WrongError,
    canonical,
    lines_of,
    number_of,
    parsed,
    small,
)
from momo_worker.runs.proof_rows import History, Walk
from momo_worker.runs.proof_signed import check_signatures, of_run

Done = TypeVar("Done")
_LINE_CHARACTERS_MAX = 400


# ---- files ----------------------------------------------------------------------------------------------------------


def manifest_of(digests: dict[str, str], head: str) -> bytes:
    """The manifest of files with these digests, and of the history's last line."""
    return canonical({"format": FORMAT, "files": digests, "head": head}).encode("ascii")


def _check_names(pack: zipfile.ZipFile) -> None:
    """Of two files with one name different programs would read different ones."""
    if pack.namelist() != [*FILES, MANIFEST]:
        raise WrongError(f"the pack doesn't hold {', '.join((*FILES, MANIFEST))}, each once and in this order")


def _check_files(pack: zipfile.ZipFile, found: Checked) -> None:
    """Each file by its digest, the history by its chain."""
    written = small(pack, MANIFEST)
    found.facts["manifest"] = hashlib.sha256(written).hexdigest()
    said = parsed(written, MANIFEST)
    told = said.get("files")
    digests = {}
    for name in FILES:
        digest = hashlib.sha256()
        with pack.open(name) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        digests[name] = digest.hexdigest()
        if not isinstance(told, dict) or told.get(name) != digests[name]:
            found.problem(f"{name}: its SHA-256 isn't the one in {MANIFEST}")
    head = START
    for number, line in lines_of(pack, "transitions.jsonl"):
        previous = parsed(line, f"transitions.jsonl, line {number}").get("previous")
        if previous != head:
            raise WrongError(f"transitions.jsonl, line {number}: the chain breaks here, its line before was another")
        head = hashlib.sha256(line).hexdigest()
    found.facts["head"] = head
    if said.get("head") != head:
        found.problem(f"transitions.jsonl: its last line isn't the one in {MANIFEST}")
    if written != manifest_of(digests, head):
        found.problem(f"{MANIFEST}: isn't the manifest of these files")


# ---- all of it ------------------------------------------------------------------------------------------------------


def _walk(pack: zipfile.ZipFile, run: dict[str, Any], signed: dict[str, str] | None, found: Checked) -> None:
    walk, history = Walk(run, signed, found), History(pack)
    for number, line in lines_of(pack, "rows.jsonl"):
        where = f"rows.jsonl, line {number}"
        try:
            walk.row(parsed(line, where), number, history.of(number), where)
        except WrongError as error:
            found.problem(str(error))
    _guarded(found, history.end)
    root = walk.tree.root()
    found.facts.update(rows=walk.tree.count, total_minor=walk.total_minor, states=walk.states, root=root)
    if walk.tree.count != number_of(run, "rows", "run.json") or walk.total_minor != number_of(
        run, "total_minor", "run.json"
    ):
        found.problem("rows.jsonl: its rows or their sum aren't the run's")
    if signed is not None and signed["root"] != root:
        found.problem("rows.jsonl: the tree over these rows has another root than the one that was signed")


def _guarded(found: Checked, deed: Callable[[], Done]) -> Done | None:
    """What doesn't hold here is noted, and the rest is looked at all the same."""
    try:
        return deed()
    except WrongError as error:
        found.problem(str(error))
        return None


def check(path: str) -> Checked:
    """Everything that can be said of a pack."""
    found = Checked()
    try:
        with zipfile.ZipFile(path) as pack:
            _check_names(pack)
            _guarded(found, lambda: _check_files(pack, found))
            run = parsed(small(pack, "run.json"), "run.json")
            found.facts["run"] = of_run(run)
            signed = _guarded(found, lambda: check_signatures(pack, run, found))
            _walk(pack, run, signed, found)
    except WrongError as error:
        found.problem(str(error))
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        found.problem(f"the pack can't be read: {error}")
    return found


def told(found: Checked) -> list[str]:
    """What was found, for a person."""
    facts, lines = found.facts, []
    if "run" in facts:
        run = facts["run"]
        lines.append(
            f"run {run['name']}: {run['rows']} rows, {run['total']}, {run['operation']} from account {run['account']}"
        )
    for state, (rows, minor) in sorted(facts.get("states", {}).items()):
        lines.append(f"  {state}: {rows} rows, {minor} in the smallest unit")
    for role, names in facts.get("signed_by", {}).items():
        lines.append(f"  signed as {role}: {', '.join(names) or 'nobody'}")
    lines += [
        f"  {word}: {facts[name]}"
        for name, word in (
            ("root", "root over the rows"),
            ("head", "head of the history"),
            ("manifest", "SHA-256 of the manifest"),
        )
        if name in facts
    ]
    if "first_approver" in facts:
        lines.append(f"  first approver: {facts['first_approver']}")
        lines.append(
            "Compare the first approver's key with one that you know by another way: every signature hangs on it."
        )
    lines += [f"look at: {remark}" for remark in found.remarks[:PROBLEMS_TOLD]]
    lines += [f"WRONG: {problem}" for problem in found.problems]
    # A stranger's pack must not write lines of its own, nor colours that hide ours.
    lines = ["".join(char if char.isprintable() else "?" for char in line)[:_LINE_CHARACTERS_MAX] for line in lines]
    lines.append("It doesn't hold." if found.problems else "All of it holds: signatures, rows, requests and history.")
    return lines


def main(words: list[str]) -> int:
    """The command line of verify.py."""
    if len(words) != 1 or words[0].startswith("-"):
        sys.stderr.write("usage: python3 verify.py PACK.zip\n")
        return 2
    found = check(words[0])
    sys.stdout.write("\n".join(told(found)) + "\n")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
