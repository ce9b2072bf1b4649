"""A path says which endpoint it was, and not who asked."""

from __future__ import annotations

import pytest

from andon.calc.paths import LONGEST_PATH, told_path
from andon.domains.observability.signals import suspicious_request

SECRETS = (
    "ann@example.com",
    "ann%40example.com",
    "123456789",
    "0af7651916cd43dd8448eb211c80319c",
    "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    "eyJhbGciOi.eyJzdWIiOi1.SflKxwRJSM",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "x" * 49,
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["/reset/{}", "/a/{}/b", "/{}"])
def test_what_tells_people_or_secrets_apart_goes(secret: str, form: str) -> None:
    assert told_path(form.format(secret)) == form.format("*")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_beginning_of_a_secret_is_left_where_a_path_is_cut(secret: str) -> None:
    for cut in range(1, len(secret) + 1):
        path = "/" + "a/" * 200
        path = f"{path[: LONGEST_PATH - cut]}/{secret}/more"
        assert secret[:4] not in told_path(path)


@pytest.mark.parametrize(
    "path",
    ["/.env", "/wp-login.php", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/%2e%2e/x"],
)
def test_endpoints_that_only_attackers_ask_for_stay_known(path: str) -> None:
    assert told_path(f"{path}?token=secret") == path
    assert suspicious_request({"c-uri": told_path(path)}, "shop", "prod", 1, "")


def test_words_and_short_numbers_stay() -> None:
    path = "/api/v2/orders/4711/order-positions.json"
    assert told_path(path) == path
    assert told_path("") == ""
    assert told_path("/shop;jsessionid=ab/cart") == "/shop;*/cart"


def test_no_sign_that_a_terminal_obeys_is_left() -> None:
    assert told_path("/\x1b[31m\x00\xff") == "/?[31m??"
