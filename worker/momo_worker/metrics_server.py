"""The process's door for Prometheus and for health checks: /metrics and /healthz over HTTP, on the first free of ten ports."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from momo_worker.health import Health

log = structlog.get_logger(__name__)

PORTS_TRIED = 10
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def serve_metrics(registry: CollectorRegistry, health: Health, first_port: int, host: str) -> int | None:
    """Serve in a daemon thread; returns the port, or None when all ten are taken: metrics never stop payments."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "momo"

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, _CONTENT_TYPE, generate_latest(registry))
            elif self.path == "/healthz":
                verdict = health.ask()
                body = json.dumps(
                    {"healthy": verdict.healthy, "reasons": verdict.reasons, "notes": verdict.notes}
                ).encode()
                self._answer(200 if verdict.healthy else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"try /metrics or /healthz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            """Scrapes are no news."""

    for port in range(first_port, first_port + PORTS_TRIED):
        try:
            server = _Server((host, port), Handler)
        except OSError:
            continue
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        log.info("metrics door open", port=port)
        return port
    log.warning("no free port for metrics; going on without", first_port=first_port, tried=PORTS_TRIED)
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # On a shared port two processes would answer in turn, each with its own counters.
    allow_reuse_address = False
