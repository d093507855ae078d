"""Our client against the fake MTN, which shares no code with it: every call, every fault, and what moved in the end."""

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.support import simulator as fake
from tests.support.mtn_world import CLOCK, a_client, a_request, an_account, uganda
from tests.support.simulator import SimulatorControl
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.accounts import Credentials, Market
from momo_worker.mtn.provisioning import Provisioning
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import PRODUCT_OF, Operation, Product
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, RenderedRequest, SendAnswer, SendVerdict, Status


class Mtn:
    """The simulator and clients of both products."""

    def __init__(self, control: SimulatorControl) -> None:
        self.control = control
        self.account = uganda(control.url)
        self.clients = {product: a_client(self.account, product) for product in Product}

    def request(self, operation: Operation = Operation.DISBURSE, **changes: Any) -> RenderedRequest:
        return a_request(self.account, operation, **{"reference_id": str(uuid.uuid4()), **changes})

    def send(self, request: RenderedRequest, **options: Any) -> SendVerdict:
        return self.clients[Product(request.product)].send(request, lambda: None, **options)

    def look(self, request: RenderedRequest) -> LookVerdict:
        return self.clients[Product(request.product)].look(request, lambda: None)

    def final(self, request: RenderedRequest) -> LookVerdict:
        seen: list[LookVerdict] = []

        def is_final() -> bool:
            seen.append(self.look(request))
            return seen[-1].status in (Status.SUCCESSFUL, Status.FAILED)

        eventually(is_final, within_seconds=PATIENCE_SECONDS, otherwise=lambda: str(seen[-1]))
        return seen[-1]

    def moved(self) -> int:
        return len(self.control.movements()["movements"])

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
            client._tokens.close()


@pytest.fixture
def mtn(simulator: SimulatorControl) -> Iterator[Mtn]:
    world = Mtn(simulator)
    yield world
    world.close()


@pytest.mark.parametrize("operation", [Operation.COLLECT, Operation.DISBURSE, Operation.DEPOSIT])
def test_a_payment_goes_from_accepted_to_successful(mtn: Mtn, operation: Operation) -> None:
    request = mtn.request(operation)
    assert mtn.send(request).answer is SendAnswer.ACCEPTED
    verdict = mtn.final(request)
    assert verdict.status is Status.SUCCESSFUL
    assert (verdict.facts.amount, verdict.facts.currency) == ("150000", "UGX")
    assert (verdict.facts.party, verdict.facts.external_id) == ("256772123456", "EMP-0042")
    assert mtn.moved() == 1


def test_a_refund_goes_from_accepted_to_successful(mtn: Mtn) -> None:
    collection = mtn.request(Operation.COLLECT)
    mtn.send(collection)
    assert mtn.final(collection).status is Status.SUCCESSFUL
    body = collection.body.replace(
        b'"payer":{"partyIdType":"MSISDN","partyId":"256772123456"}',
        b'"referenceIdToRefund":"' + collection.reference_id.encode() + b'"',
    )
    refund = mtn.request(Operation.REFUND)
    fields = {name: getattr(refund, name) for name in RenderedRequest.__slots__} | {"body": body}
    refund = RenderedRequest(**fields)
    assert mtn.send(refund).answer is SendAnswer.ACCEPTED
    assert mtn.final(refund).status is Status.SUCCESSFUL


def test_the_same_reference_again_is_a_conflict_and_moves_nothing(mtn: Mtn) -> None:
    request = mtn.request()
    assert not mtn.send(request).conflict
    for empty in (False, True):
        mtn.control.settings(empty_conflict=empty)
        again = mtn.send(request)
        assert (again.answer, again.conflict) == (SendAnswer.ACCEPTED, True)
    mtn.control.settings(empty_conflict=False)
    mtn.final(request)
    assert mtn.moved() == 1


def test_a_reference_that_mtn_does_not_know_is_not_found(mtn: Mtn) -> None:
    assert mtn.look(mtn.request()).answer is LookAnswer.NOT_FOUND


def test_a_payment_that_fails_says_why(mtn: Mtn) -> None:
    request = mtn.request(Operation.COLLECT, msisdn="256773123451")
    mtn.send(request)
    verdict = mtn.final(request)
    assert (verdict.status, verdict.reason_code) == (Status.FAILED, "APPROVAL_REJECTED")


LOST = [
    "lost_after_creation",
    "error_after_creation",
    "bad_gateway_after_creation",
    "gateway_timeout_after_creation",
    "html_200_after_creation",
    "lost_before_creation",
    "halfway_answer",
    "lost_answer",
    "error_before_creation",
    "bad_gateway",
    "service_unavailable",
    "html_200",
]


@pytest.mark.parametrize("fault", LOST)
def test_an_answer_that_was_lost_is_unknown_and_one_post(mtn: Mtn, fault: str) -> None:
    request = mtn.request()
    mtn.clients[Product.DISBURSEMENT]._tokens.current()
    mtn.control.fault(fault, count=1, method="POST", operation="transfer")
    verdict = mtn.send(request)
    assert (verdict.answer, verdict.cause) == (SendAnswer.UNKNOWN, Cause.FAULT)
    assert sum(one["reference"] == request.reference_id for one in mtn.control.requests()) <= 1
    # The same reference again meets what MTN has, and never makes a second payment.
    assert mtn.send(request).answer is SendAnswer.ACCEPTED
    mtn.final(request)
    assert mtn.moved() == 1


def test_throttling_says_for_how_long(mtn: Mtn) -> None:
    request = mtn.request()
    mtn.clients[Product.DISBURSEMENT]._tokens.current()
    mtn.control.fault("rate_limited", count=1, seconds=7, operation="transfer")
    verdict = mtn.send(request)
    assert (verdict.answer, verdict.cause, verdict.retry_after_seconds) == (SendAnswer.NOT_NOW, Cause.THROTTLED, 7)


def test_a_dead_token_costs_one_token_and_the_step_repeats(mtn: Mtn) -> None:
    request = mtn.request()
    assert mtn.send(mtn.request()).answer is SendAnswer.ACCEPTED
    mtn.control.end_tokens()
    assert mtn.send(request).cause is Cause.TOKEN_REFUSED
    assert mtn.send(request).answer is SendAnswer.ACCEPTED
    mtn.control.end_tokens()
    assert mtn.look(request).answer is LookAnswer.FOUND


def test_wrong_credentials_are_a_refused_login(mtn: Mtn) -> None:
    who = fake.UGANDA_DISBURSEMENT
    wrong = {Product.DISBURSEMENT: Credentials(who.subscription_key, who.api_user, "0" * 32)}
    account = uganda(mtn.control.url, credentials=wrong)
    client = a_client(account)
    verdict = client.send(a_request(account), lambda: None)
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.NOT_NOW, Cause.LOGIN_REFUSED, True)
    assert client.probe() is Cause.LOGIN_REFUSED
    client.close()
    client._tokens.close()


def test_a_wrong_key_is_refused_by_name_and_the_secondary_works(mtn: Mtn) -> None:
    who = fake.UGANDA_DISBURSEMENT
    keys = {Product.DISBURSEMENT: Credentials("0" * 32, who.api_user, who.api_key, who.secondary_key)}
    account = uganda(mtn.control.url, credentials=keys)
    client = a_client(account)
    request = a_request(account, reference_id=str(uuid.uuid4()))
    assert client.send(request, lambda: None).cause is Cause.KEY_REFUSED
    assert client.send(request, lambda: None, secondary=True).answer is SendAnswer.ACCEPTED
    assert client.look(request, lambda: None).answer is LookAnswer.FOUND
    client.close()
    client._tokens.close()


def test_a_currency_that_is_not_the_environments_is_our_fault_and_nobodys_payment(mtn: Mtn) -> None:
    verdict = mtn.send(mtn.request(currency="EUR", exponent=2))
    assert (verdict.answer, verdict.cause) == (SendAnswer.NOT_NOW, Cause.CONFIGURATION)
    assert verdict.code == "INVALID_CURRENCY"


def test_a_callback_host_that_is_not_registered_is_our_fault(mtn: Mtn) -> None:
    account = uganda(mtn.control.url, callback_url="https://elsewhere.example.org/mtn")
    request = a_request(account, reference_id=str(uuid.uuid4()))
    verdict = mtn.send(request)
    assert (verdict.answer, verdict.cause) == (SendAnswer.NOT_NOW, Cause.CONFIGURATION)
    assert verdict.code == "INVALID_CALLBACK_URL_HOST"


def test_an_apostrophe_is_refused(mtn: Mtn) -> None:
    verdict = mtn.send(mtn.request(payer_message="N'Guessan"))
    assert (verdict.answer, verdict.code) == (SendAnswer.REFUSED, "BAD_REQUEST")


ODD: list[tuple[str, Callable[[LookVerdict], bool]]] = [
    ("reason_as_object", lambda v: v.status is Status.FAILED and v.reason_code == "APPROVAL_REJECTED"),
    ("numbers_for_strings", lambda v: v.facts.amount == "150000" and v.facts.party == "256773123451"),
    ("unknown_status", lambda v: v.status is Status.PENDING and v.raw_status == "IN_REVIEW"),
    ("shown_created", lambda v: v.status is Status.PENDING and v.raw_status == "CREATED"),
    ("no_status", lambda v: v.status is Status.PENDING and v.raw_status is None),
    ("missing_fields", lambda v: v.status is Status.FAILED and v.facts.external_id is None),
]


@pytest.mark.parametrize(("fault", "holds"), ODD)
def test_every_odd_form_of_an_answer_is_read(mtn: Mtn, fault: str, holds: Callable[[LookVerdict], bool]) -> None:
    request = mtn.request(Operation.COLLECT, msisdn="256773123451")
    mtn.send(request)
    mtn.final(request)
    mtn.control.fault(fault, count=1)
    verdict = mtn.look(request)
    assert verdict.answer is LookAnswer.FOUND
    assert holds(verdict), verdict


def test_the_balance_is_what_the_simulator_set(mtn: Mtn) -> None:
    mtn.control.set_balance("uganda", "disbursement", "5000")
    client = mtn.clients[Product.DISBURSEMENT]
    assert client.balance().available == Decimal(5000)
    assert client.balance("UGX").currency == "UGX"
    assert client.probe() is Cause.NONE


def test_a_provisioned_user_can_collect_in_the_sandbox(simulator: SimulatorControl) -> None:
    who = fake.SANDBOX_COLLECTION
    door = Provisioning(simulator.url, who.subscription_key, clock=CLOCK)
    user_id = str(uuid.uuid4())
    assert door.create_user(user_id, "pay.example.org")
    assert not door.create_user(user_id, "pay.example.org")
    key = door.create_key(user_id)
    assert door.user(user_id).target_environment == "sandbox"
    door.close()
    market = Market("sandbox", simulator.url, "sandbox", Currency("EUR", 2), None, "UTC")
    keys = {Product.COLLECTION: Credentials(who.subscription_key, user_id, key.value)}
    account = an_account(simulator.url, market=market, credentials=keys, callback_url=None)
    client = a_client(account, PRODUCT_OF[Operation.COLLECT])
    request = a_request(account, Operation.COLLECT, currency="EUR", exponent=2, reference_id=str(uuid.uuid4()))
    assert client.send(request, lambda: None).answer is SendAnswer.ACCEPTED
    client.close()
    client._tokens.close()
