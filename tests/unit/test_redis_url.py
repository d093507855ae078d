"""The forms of a Redis URL, and that a wrong one is never shown."""

import pytest

from momo_worker.redis_url import RedisUrlError, SentinelUrl, check_redis_url, parse_sentinel
from momo_worker.settings_problems import Problems


def test_a_sentinel_url_has_one_url_a_sentinel_and_the_name_of_the_service() -> None:
    url = "sentinel://me:p%40ss@a:26379/3;sentinel://b/3;sentinel://c:1?master_name=payments"
    assert parse_sentinel(url) == SentinelUrl((("a", 26379), ("b", 26379), ("c", 1)), "payments", 3, "me", "p@ss")


def test_the_service_has_sentinels_own_default_name() -> None:
    assert parse_sentinel("sentinel://a:26379/0").service == "mymaster"


def test_a_sentinel_url_does_not_show_its_password() -> None:
    assert "p@ss" not in repr(parse_sentinel("sentinel://:p%40ss@a:26379/0"))


@pytest.mark.parametrize(
    "url", ["redis://a", "redis://a:1/2", "redis://u:p@a:6379/0", "rediss://:p@a/", "redis://[::1]:6379"]
)
def test_a_plain_url_is_taken(url: str) -> None:
    problems = Problems()
    check_redis_url(url, "MOMO_REDIS_URL", problems)
    assert problems.found == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://u:topsecret@a", "redis://", "redis://u:topsecret@:6379", "redis://a:99999", "redis://a/topsecret"),
        *(
            "topsecret",
            "redis://[a",
            "sentinel://",
            "sentinel://a;b",
            "sentinel://a/0?name=topsecret",
            "sentinel://a?master_name=",
        ),
    ],
)
def test_a_wrong_url_is_told_the_forms_without_being_shown(url: str) -> None:
    problems = Problems()
    check_redis_url(url, "MOMO_REDIS_URL", problems)
    (problem,) = problems.found
    assert "rediss:// for TLS" in problem.fix
    assert "topsecret" not in str(problem)


def test_parsing_a_wrong_sentinel_url_says_why() -> None:
    with pytest.raises(RedisUrlError, match="master_name=NAME"):
        parse_sentinel("sentinel://a/0?db=1")
