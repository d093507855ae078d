"""A method and a path come in, the operation that MTN's specifications name goes out, or nothing. Never looks at headers."""

from dataclasses import dataclass

PAYMENTS = ("requesttopay", "transfer", "deposit", "refund")


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is how the record counts it; `template` is the path as the specification writes it."""

    method: str
    product: str
    operation: str
    version: str
    template: str
    values: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.method} {self.operation}"

    @property
    def creates(self) -> bool:
        return self.method == "POST" and self.operation in PAYMENTS

    @property
    def reads_status(self) -> bool:
        return self.method == "GET" and self.operation in PAYMENTS


_ACCOUNTS = (
    ("GET", "/v1_0/account/balance", "balance"),
    ("GET", "/v1_0/account/balance/{currency}", "balance"),
    ("GET", "/v1_0/accountholder/{accountHolderIdType}/{accountHolderId}/active", "active"),
    ("GET", "/v1_0/accountholder/{accountHolderIdType}/{accountHolderId}/basicuserinfo", "basicuserinfo"),
    ("POST", "/token/", "token"),
)
_TABLE = {
    "collection": (
        *_ACCOUNTS,
        ("POST", "/v1_0/requesttopay", "requesttopay"),
        ("GET", "/v1_0/requesttopay/{referenceId}", "requesttopay"),
    ),
    "disbursement": (
        *_ACCOUNTS,
        ("POST", "/v1_0/transfer", "transfer"),
        ("GET", "/v1_0/transfer/{referenceId}", "transfer"),
        ("POST", "/v1_0/deposit", "deposit"),
        ("POST", "/v2_0/deposit", "deposit"),
        ("GET", "/v1_0/deposit/{referenceId}", "deposit"),
        ("POST", "/v1_0/refund", "refund"),
        ("POST", "/v2_0/refund", "refund"),
        ("GET", "/v1_0/refund/{referenceId}", "refund"),
    ),
    "": (
        ("POST", "/v1_0/apiuser", "apiuser"),
        ("POST", "/v1_0/apiuser/{X-Reference-Id}/apikey", "apikey"),
        ("GET", "/v1_0/apiuser/{X-Reference-Id}", "apiuser"),
    ),
}


def _routes() -> dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]]:
    table: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
    for product, rows in _TABLE.items():
        for method, template, operation in rows:
            path = f"/{product}{template}" if product else template
            pieces = tuple(path.split("/")[1:])
            version = pieces[1] if product else pieces[0]
            table.setdefault((method, len(pieces)), []).append(
                (pieces, Route(method, product, operation, version, template))
            )
    return table


_ROUTES = _routes()
ALL_ROUTES = tuple(route for rows in _ROUTES.values() for _, route in rows)


def find_route(method: str, path: str) -> Route | None:
    """The token's slash at the end counts; a doubled slash matches nothing here (the gateway refuses it before)."""
    pieces = path.split("/")[1:]
    for pattern, route in _ROUTES.get((method, len(pieces)), ()):
        values = _match(pattern, pieces)
        if values is not None:
            return Route(route.method, route.product, route.operation, route.version, route.template, values)
    return None


def _match(pattern: tuple[str, ...], pieces: list[str]) -> tuple[str, ...] | None:
    values = []
    for expected, piece in zip(pattern, pieces, strict=True):
        if expected.startswith("{"):
            if not piece:
                return None
            values.append(piece)
        elif expected != piece:
            return None
    return tuple(values)
