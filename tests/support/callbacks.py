"""MTN's callbacks come in over HTTP, hints to the step go out, as the web door gives them; never believes a body."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.corridor import Corridor

from momo_worker.mtn.wire import reference_of_callback
from momo_worker.settings import load
from momo_worker.steps.callback import hint
from momo_worker.wiring import House, build

CALLBACK_SECRET = "ca11bac4ca11bac4ca11bac4ca11bac4"
_PREFIX = "/callback/"


class Callbacks:
    """Answers every callback 200; once it knows a corridor, what carries our seal becomes a hint there."""

    def __init__(self, port: int) -> None:
        # The host that the fake MTN's API users were made with.
        self.url = f"http://localhost:{port}{_PREFIX.rstrip('/')}"
        self.house: House | None = None

    def hints_go_to(self, corridor: Corridor | None) -> None:
        if self.house is not None:
            self.house.parts.ledger.close()
            self.house.redis.close()
        self.house = None
        if corridor is not None:
            self.house = build(load(corridor.environment, corridor.folder), claims_redis=False)

    def heard(self, path: str) -> None:
        reference = reference_of_callback(CALLBACK_SECRET, path.removeprefix(_PREFIX))
        if reference is not None and self.house is not None:
            hint(self.house.parts, reference)


@contextmanager
def receiving_callbacks() -> Iterator[Callbacks]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            callbacks.heard(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    callbacks = Callbacks(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield callbacks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        callbacks.hints_go_to(None)
