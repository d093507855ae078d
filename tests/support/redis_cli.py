"""`redis-cli -p PORT COMMAND…` for a machine that has none: words come in, Redis's answer is printed; speaks RESP itself, by a bare socket."""

import socket
import sys


def encode(words: list[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def main(arguments: list[str]) -> int:
    assert arguments[0] == "-p", "the documents always name the port"
    with socket.create_connection(("127.0.0.1", int(arguments[1])), timeout=10) as line:
        line.sendall(encode(arguments[2:]))
        reader = line.makefile("rb")
        answer = reader.readline()
        if answer[:1] == b"$":
            answer = reader.readline()
    print(answer.decode().strip())
    return 1 if answer[:1] == b"-" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
