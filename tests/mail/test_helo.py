from __future__ import annotations

import socket

import pytest
from mail.scripted_smtp import ScriptedSmtp
from mail.test_mail_smtp import transport
from pydantic import ValidationError

from migrate.mail import helo
from migrate.mail.helo import default_helo, machine_name
from migrate.mail.settings import SmtpSettings


@pytest.mark.parametrize(
    "name", ["mail.example.com", "relay", "xn--bcher-kva.example", "3com.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
)
def test_a_name_or_an_address_in_brackets_greets(name: str) -> None:
    assert SmtpSettings(host="localhost", helo=name).helo == name


@pytest.mark.parametrize(
    "name",
    ["", "mail.example.com.", "my_host.example.com", "-a.example", "a..b", "192.0.2.1", "[192.0.2.300]", "[2001:db8::1]",
     "[IPv6:fe80::1%eth0]", "a b", "a\r\nMAIL", "x" * 64 + ".example", ".".join(["abcdefg"] * 40)],
)  # fmt: skip
def test_what_a_server_cannot_be_greeted_with_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no name to greet with"):
        SmtpSettings(host="localhost", helo=name)


def test_a_name_outside_ascii_is_told_its_other_form() -> None:
    with pytest.raises(ValidationError, match="xn--"):
        SmtpSettings(host="localhost", helo="bücher.example")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    helo._looked_up.cache_clear()
    return monkeypatch


@pytest.mark.parametrize(
    ("short", "full", "name"),
    [
        ("web1.example.com", "other.example.com", "web1.example.com"),
        ("web1", "web1.example.com", "web1.example.com"),
        ("a1b2c3d4", "a1b2c3d4", None),
        ("localhost.localdomain", "localhost.localdomain", None),
        ("my_host.example.com", "my_host.example.com", None),
    ],
)
def test_this_machine_is_called_by_its_full_name_if_it_has_one(short: str, full: str, name: str | None, called: pytest.MonkeyPatch) -> None:
    called.setattr(socket, "gethostname", lambda: short)
    called.setattr(socket, "getfqdn", lambda: full)
    assert machine_name() == name
    helo._looked_up.cache_clear()


@pytest.mark.parametrize(
    ("address", "literal"), [("10.1.2.3", "[10.1.2.3]"), ("2001:db8::7", "[IPv6:2001:db8::7]"), ("fe80::1%eth0", "[IPv6:fe80::1]")]
)
def test_a_machine_without_a_full_name_greets_with_its_address(address: str, literal: str, called: pytest.MonkeyPatch) -> None:
    called.setattr(helo, "machine_name", lambda: None)
    assert default_helo(address) == literal


def test_the_address_is_that_of_the_connection(called: pytest.MonkeyPatch) -> None:
    called.setattr(helo, "machine_name", lambda: None)
    with ScriptedSmtp() as server, transport(server.port).connect():
        pass
    assert server.lines[0] == "EHLO [127.0.0.1]"
