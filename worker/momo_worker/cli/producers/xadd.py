"""`python -I -S xadd.py PORT FILE`: jobs come in, one JSON object a line; each goes out with a bare XADD over a socket. Standard library only."""

import socket
import sys
from pathlib import Path
from typing import BinaryIO

_TIMEOUT_SECONDS = 30


def main() -> int:
    """Enqueue every line; says how many."""
    port, jobs = int(sys.argv[1]), Path(sys.argv[2]).read_bytes().splitlines()
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as line:
        line.sendall(b"".join(_command(b"XADD", b"momo:jobs", b"*", b"job", job) for job in jobs))
        answers = line.makefile("rb")
        for _ in jobs:
            _read_id(answers)
    sys.stdout.write(f"{len(jobs)} jobs enqueued by XADD\n")
    return 0


def _command(*words: bytes) -> bytes:
    """A command as Redis reads it: how many words, then each with its length."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _read_id(answers: BinaryIO) -> None:
    head = answers.readline()
    if not head.startswith(b"$"):
        raise SystemExit(f"Redis refused: {head.decode(errors='replace').strip()}")
    answers.readline()


if __name__ == "__main__":
    sys.exit(main())
