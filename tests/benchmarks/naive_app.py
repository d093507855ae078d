"""A Celery application that pays over MTN as tutorials teach it: the bench's other side, and an example of nothing else.

A task per payment, `requests.post` with a fresh reference, a countdown per poll, the last status in a Redis hash. It keeps no
ledger, publishes no results and pays twice whenever an answer is lost: `self.retry` draws a new reference. Never run it on money.
It imports nothing of ours.
"""

import os
import time
import uuid

import redis
import requests
from celery import Celery

BASE_URL = os.environ.get("NAIVE_BASE_URL", "")
SUBSCRIPTION_KEY = os.environ.get("NAIVE_SUBSCRIPTION_KEY", "")
API_USER = os.environ.get("NAIVE_API_USER", "")
API_KEY = os.environ.get("NAIVE_API_KEY", "")
POLL_SECONDS = float(os.environ.get("NAIVE_POLL_SECONDS", "5"))
REDIS_URL = os.environ.get("NAIVE_REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("naive", broker=REDIS_URL)
app.conf.broker_connection_retry_on_startup = True
app.conf.task_ignore_result = True
statuses = redis.Redis.from_url(REDIS_URL)
token = {"value": "", "until": 0.0}


def headers() -> dict[str, str]:
    if time.time() > token["until"]:
        answer = requests.post(
            f"{BASE_URL}/disbursement/token/",
            auth=(API_USER, API_KEY),
            headers={"Ocp-Apim-Subscription-Key": SUBSCRIPTION_KEY},
            timeout=30,
        )
        answer.raise_for_status()
        token["value"] = answer.json()["access_token"]
        token["until"] = time.time() + answer.json()["expires_in"] - 60
    return {
        "Authorization": f"Bearer {token['value']}",
        "Ocp-Apim-Subscription-Key": SUBSCRIPTION_KEY,
        "X-Target-Environment": "mtnuganda",
    }


@app.task(bind=True, max_retries=5)
def pay(self, key: str, msisdn: str, amount: str) -> None:
    reference = str(uuid.uuid4())
    body = {
        "amount": amount,
        "currency": "UGX",
        "externalId": key,
        "payee": {"partyIdType": "MSISDN", "partyId": msisdn},
        "payerMessage": "Salary November",
        "payeeNote": "Salary November",
    }
    try:
        answer = requests.post(
            f"{BASE_URL}/disbursement/v1_0/transfer",
            json=body,
            headers={**headers(), "X-Reference-Id": reference},
            timeout=30,
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        raise self.retry(exc=error, countdown=POLL_SECONDS) from error
    poll.apply_async((key, reference), countdown=POLL_SECONDS)


@app.task(bind=True, max_retries=1000)
def poll(self, key: str, reference: str) -> None:
    answer = requests.get(f"{BASE_URL}/disbursement/v1_0/transfer/{reference}", headers=headers(), timeout=30)
    status = answer.json()["status"]
    if status == "PENDING":
        raise self.retry(countdown=POLL_SECONDS)
    statuses.hset("payments", key, status)
