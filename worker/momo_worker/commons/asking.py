"""One status read: a payment's attempt comes in, what MTN says of it goes out, at MTN's pace and counted. Decides nothing, writes nothing."""

import structlog

from momo_worker.commons.parts import Parts
from momo_worker.payment.payment import Attempt, Payment, Product
from momo_worker.payment.verdict import LookVerdict, RenderedRequest

log = structlog.get_logger(__name__)


def may_ask(parts: Parts, payment: Payment, attempt: Attempt) -> bool:
    """Only under the API user, product and environment of the first send does a 404 mean anything (M5)."""
    account = parts.accounts.get(payment.account)
    credentials = account.credentials.get(payment.product) if account else None
    if account is None or credentials is None:
        return False
    same = (credentials.api_user, account.market.target_environment, account.market.base_url)
    if same == (attempt.api_user, attempt.target_environment, attempt.base_url):
        return True
    log.error(
        "a payment was sent under other credentials than this process has; it isn't looked up",
        payment_id=payment.id,
        account=payment.account,
        action="skipped",
        advice="bring back the credentials of its first send, or resolve it with MTN's statement",
    )
    return False


def ask_mtn(parts: Parts, account_name: str, product: Product, request: RenderedRequest) -> LookVerdict:
    """Ask once; waits for its slot where the call leaves."""
    account = parts.accounts[account_name]
    began = parts.clock.elapsed()
    verdict = parts.client_for(account_name, product).look(
        request, lambda: parts.slots.wait(account, product, look=True)
    )
    parts.counters.called(product.value, "look", verdict.answer.value, parts.clock.elapsed() - began)
    return verdict
