from __future__ import annotations

from typing import Any, get_args

import pytest
from mail.post import mail
from pydantic import ValidationError

from migrate.mail.providers import PROVIDERS
from migrate.mail.rates import Rates
from migrate.mail.settings import SmtpSettings


def smtp(**changed: Any) -> Any:
    return mail(transport="smtp", smtp={"host": "smtp.example.com"} | changed).smtp


def test_a_sender_alone_is_enough_and_letters_go_to_a_folder() -> None:
    settings = mail()
    assert (settings.transport, str(settings.maildir.path)) == ("maildir", "outbox")
    assert settings.sender_header == "Example Corp Security <security@example.com>"
    assert settings.envelope_address == "security@example.com"


def test_the_envelope_sender_can_be_an_address_of_its_own() -> None:
    assert mail(envelope_from="bounces@example.com").envelope_address == "bounces@example.com"


def test_a_sender_s_name_and_domain_outside_ascii_are_encoded() -> None:
    settings = mail(**{"from": "Sécurité <noreply@exämple.com>"})
    assert settings.sender_header == "=?utf-8?b?U8OpY3VyaXTDqQ==?= <noreply@xn--exmple-cua.com>"
    assert settings.sender_domain == "xn--exmple-cua.com"


@pytest.mark.parametrize(
    "sender", ["", "Security", "a@b@c.com", "Security <no one@example.com>", "A\nBcc: x@y.com <a@b.com>", "zoë@example.com"]
)
def test_a_sender_that_is_no_mailbox_is_refused(sender: str) -> None:
    with pytest.raises(ValidationError):
        mail(**{"from": sender})


@pytest.mark.parametrize(("rate", "per_second"), [("10/s", 10.0), ("600/min", 10.0), ("1800/h", 0.5)])
def test_a_rate_is_letters_in_a_time(rate: str, per_second: float) -> None:
    assert smtp(rate=rate).rates == Rates(per_second, None, f"{int(rate.split('/')[0]):,}/{rate.split('/')[1]}")


@pytest.mark.parametrize(
    ("rate", "narrowest"),
    [
        (["30/min", "10000/day"], Rates(0.5, 10_000, "30/min and 10,000/day")),
        (["10/s", "3600/h", "2000/day", "500/day"], Rates(1, 500, "10/s and 3,600/h and 2,000/day and 500/day")),
        ("40/day", Rates(10, 40, "40/day")),
    ],
)
def test_of_several_rates_the_narrowest_holds(rate: str | list[str], narrowest: Rates) -> None:
    assert smtp(rate=rate).rates == narrowest


def test_no_rate_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="rate"):
        smtp(rate=[])


@pytest.mark.parametrize("rate", ["10", "0/s", "0/day", "10/days", "-1/s", "ten/s", "1.5/s"])
def test_a_rate_that_is_none_says_how_to_write_one(rate: str) -> None:
    with pytest.raises(ValidationError, match="'600/min'"):
        smtp(rate=rate)


def test_smtp_without_a_server_says_what_to_add() -> None:
    with pytest.raises(ValidationError, match=r"\[mail.smtp\] with host"):
        mail(transport="smtp")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "[::1]", "127.8.8.8"])
def test_an_unencrypted_connection_may_stay_on_this_machine(host: str) -> None:
    assert smtp(host=host, security="none").security == "none"


def test_an_unencrypted_connection_to_elsewhere_has_to_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="allow_plaintext = true"):
        smtp(security="none")
    assert smtp(security="none", allow_plaintext=True).security == "none"


def test_a_password_never_goes_over_an_unencrypted_connection() -> None:
    with pytest.raises(ValidationError, match="in the clear"):
        smtp(host="localhost", security="none", allow_plaintext=True, username="u", password="hunter2")


def test_a_username_without_a_password_is_refused() -> None:
    with pytest.raises(ValidationError, match="password is missing"):
        smtp(username="u")
    with pytest.raises(ValidationError, match="username is missing"):
        smtp(password="hunter2")


def test_the_password_shows_neither_in_the_settings_nor_in_their_errors() -> None:
    assert "hunter2" not in repr(smtp(username="u", password="hunter2"))
    with pytest.raises(ValidationError) as caught:
        smtp(password="hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_sets_what_is_not_set(provider: str) -> None:
    theirs = dict(PROVIDERS[provider])
    made = SmtpSettings.model_validate({"provider": provider, "host": "relay.example.com", "rate": "7/s"})
    assert (made.host, made.rate) == ("relay.example.com", ("7/s",))
    assert (made.port, made.security, made.connections) == (theirs["port"], theirs["security"], theirs["connections"])


def test_every_provider_that_may_be_named_is_known_and_its_values_are_settings() -> None:
    named = get_args(get_args(SmtpSettings.model_fields["provider"].annotation)[0])
    assert set(named) == set(PROVIDERS)
    assert {key for values in PROVIDERS.values() for key in values} <= set(SmtpSettings.model_fields)


@pytest.mark.parametrize(
    ("provider", "host", "per_second", "per_day"),
    [
        ("exchange_online", "smtp.office365.com", 0.5, 10_000),
        ("exchange_hve", "smtp.hve.mx.microsoft", 10, None),
        ("google_relay", "smtp-relay.gmail.com", 10, 10_000),
        ("ses", "email-smtp.eu-west-1.amazonaws.com", 14, 50_000),
    ],
)
def test_a_provider_has_its_documented_limits(provider: str, host: str, per_second: float, per_day: int | None) -> None:
    made = SmtpSettings.model_validate({"provider": provider} | ({"host": host} if provider == "ses" else {}))
    assert (made.host, made.port, made.rates.per_second, made.rates.per_day) == (host, 587, per_second, per_day)


def test_a_provider_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="provider"):
        smtp(provider="pigeon")


def test_ses_without_a_host_says_what_its_host_is_like() -> None:
    with pytest.raises(ValidationError, match=r'host is missing; with provider = "ses" it is that of your region, such as email-smtp\.'):
        SmtpSettings.model_validate({"provider": "ses"})


@pytest.mark.parametrize(
    ("provider", "left"),
    [
        (None, []),
        ("exchange_online", ['rate = ["10/s"]', "connections = 4"]),
        ("exchange_hve", []),
        ("google_relay", ['rate = ["10/s"]']),
        ("ses", ['rate = ["10/s"]']),
    ],
)
def test_a_line_of_the_example_that_was_left_beside_a_provider_that_allows_less_is_noticed(provider: str | None, left: list[str]) -> None:
    host = {"host": "relay.example.com", "provider": provider}
    assert SmtpSettings.model_validate(host | {"rate": ["10/s"], "connections": 4}).beside_provider == left
    assert SmtpSettings.model_validate(host | {"rate": ["11/s"], "connections": 5}).beside_provider == []
    assert SmtpSettings.model_validate(host).beside_provider == []
