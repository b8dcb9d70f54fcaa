"""Signing in with a token, as people start it: a run that outlives its token, and every way in which none is to be had."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from crash.killer import migrate
from journeys.test_delivery import T30, hired, slowly
from mail.authority import ca_file, server_context
from mail.scripted_smtp import DROP, OFFERS, Answer, ScriptedSmtp
from mail.scripted_tokens import TokenEndpoint, denied, granted
from office import Done, Office

BY_TOKEN = OFFERS.replace("AUTH PLAIN", "AUTH XOAUTH2")
SECRET = "hunter2~secret"


def signed_in(office: Office, server: ScriptedSmtp, endpoint: TokenEndpoint, **settings: Any) -> None:
    """The office sends with a token, over TLS."""
    values = {"host": "localhost", "port": server.port, "ca_file": str(ca_file(office.folder)), "rate": "1000/s", "timeout": 5} | settings
    values |= {"sign_in": "xoauth2", "username": "mailer@contoso.com"}
    lines = "\n".join(f"{key} = {value!r}" for key, value in values.items())
    (office.folder / "secret").write_text(f"{SECRET}\n")
    office.mail = f"""transport = "smtp"
[mail.smtp]
{lines}
[mail.smtp.oauth]
provider = "microsoft"
tenant = "contoso.onmicrosoft.com"
client_id = "0b3f"
client_secret = {{ file = "secret" }}
token_url = "{endpoint.url}"
"""
    office.safety = "allow_time_travel = true"


def by_token(**answers: Answer | list[Answer]) -> ScriptedSmtp:
    return ScriptedSmtp(server_context(), **{"ehlo": BY_TOKEN} | answers)


def mail_checked(office: Office) -> tuple[Done, dict[str, Any]]:
    office.write()
    done = office.migrate("check", "--json")
    assert SECRET not in done.out + done.err
    return done, next(finding for finding in done.facts["checks"] if finding["part"] == "mail")


def tokens_told(server: ScriptedSmtp) -> list[str]:
    told = [base64.b64decode(line.split()[-1]).decode() for line in server.lines if line.startswith("AUTH XOAUTH2")]
    return [text.partition("Bearer ")[2].rstrip("\x01") for text in told]


def test_a_run_outlives_its_token(office: Office) -> None:
    """The server closes after four letters, and takes the first token no more: each connection brings the second, and nothing is lost."""
    hired(office, 12)
    refusal = base64.b64encode(json.dumps({"status": "401", "schemes": "bearer", "scope": "https://mail.google.com/"}).encode()).decode()

    def answer() -> str:
        first = "t1" in tokens_told(server)[-1:]
        return f"334 {refusal}" if first and len(server.messages) >= 4 else "235 2.7.0 welcome"

    closing: list[Answer] = ["250 ok"] * 4 + [("421 4.4.2 closing", DROP)]
    with (
        TokenEndpoint(granted("t1"), granted("t2")) as endpoint,
        by_token(auth=answer, response="535 5.7.8 Token expired", mail=closing) as server,
    ):
        signed_in(office, server, endpoint, connections=1)
        facts = office.run(T30)
    assert (facts["letters"]["sent"], facts["letters"]["queued"], len(server.messages)) == (12, 0, 12)
    assert tokens_told(server) == ["t1", "t1", "t2"]
    assert len(endpoint.forms) == 2


def test_every_worker_fetches_its_token_once_and_renews_it_before_it_ends(office: Office) -> None:
    """Tokens that are good for two seconds, and a server that lets nobody stay: whoever comes back late brings a new one."""
    hired(office, 40)
    mail: list[Answer] = ["250 ok", "250 ok", ("421 4.4.2 closing", DROP)] * 40
    with TokenEndpoint(granted("t", 2)) as endpoint, by_token(mail=mail, dot=slowly(0.15)) as server:
        signed_in(office, server, endpoint, connections=2)
        office.run(T30, "--no-send")
        process = migrate(office.folder, "send", "--workers", "2", "--json", "--as-of", T30)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), out
    assert json.loads(out)["letters"]["sent"] == 40
    assert len(server.messages) == 40
    assert 2 <= len(endpoint.forms) < server.commands.count("AUTH")


def test_check_signs_in_for_real(office: Office) -> None:
    hired(office, 3)
    with TokenEndpoint(granted("t1")) as endpoint, by_token() as server:
        signed_in(office, server, endpoint)
        done, mail = mail_checked(office)
    assert (done.code, mail["state"]) == (0, "ok")
    assert mail["said"] == f"localhost port {server.port} answers, and mailer@contoso.com signs in with a token (XOAUTH2)"
    assert tokens_told(server) == ["t1"]


@pytest.mark.parametrize(
    ("error", "description", "where", "says"),
    [
        ("invalid_request", "AADSTS90002: Tenant 'contoso.onmicrosoft.com' not found.", "tenant", "No such tenant is known"),
        (
            "unauthorized_client",
            "AADSTS700016: Application with identifier '0b3f' was not found.",
            "client_id",
            "knows no such application",
        ),
        ("invalid_grant", "AADSTS65001: The user or administrator has not consented.", "client_id", "let an administrator consent"),
        ("invalid_client", f"AADSTS7000215: Invalid client secret provided: {SECRET}.", "client_secret", "The secret is wrong"),
        ("invalid_client", "AADSTS7000222: The provided client secret keys are expired.", "client_secret", "The secret has expired"),
    ],
)
def test_check_and_run_say_why_there_is_no_token(error: str, description: str, where: str, says: str, office: Office) -> None:
    hired(office, 3)
    with TokenEndpoint(denied(error, description, 401)) as endpoint, by_token() as server:
        signed_in(office, server, endpoint)
        done, mail = mail_checked(office)
        sent = office.migrate("run", "--as-of", T30)
    assert (done.code, mail["state"], sent.code) == (6, "wrong", 6)
    for said in (mail["said"], sent.err.removeprefix("Error: ").strip()):
        assert said.startswith(f"[mail.smtp.oauth] {where}: no token for the mail server could be had: Microsoft answered AADSTS")
        assert says in said and "migrate check" in said and "\n" not in said
        assert SECRET not in said and "Traceback" not in said
    assert "AUTH" not in server.commands and server.messages == []


def test_a_refusal_of_the_token_is_told_and_nothing_is_lost(office: Office) -> None:
    hired(office, 3)
    refusal = base64.b64encode(json.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}).encode()).decode()
    with TokenEndpoint(granted("t1")) as endpoint, by_token(auth=f"334 {refusal}", response="535 5.7.8 Not accepted.") as server:
        signed_in(office, server, endpoint)
        office.write()
        done = office.migrate("run", "--as-of", T30)
    assert done.code == 6
    assert "does not accept the token for mailer@contoso.com: status 400, it wants the scope https://mail.google.com/" in done.err
    assert "535 5.7.8 Not accepted" in done.err and refusal not in done.err and len(done.err.strip().splitlines()) == 1
    with TokenEndpoint(granted("t2")) as endpoint, by_token() as server:
        signed_in(office, server, endpoint)
        office.write()
        assert office.migrate("send", "--json", "--as-of", "2024-01-02T07:00").facts["letters"]["sent"] == 3


def test_no_secret_and_no_token_is_printed_even_with_debug(office: Office) -> None:
    hired(office, 1)
    with TokenEndpoint(granted("s3cr3t-token")) as endpoint, by_token(auth=lambda: f"535 5.7.3 {server.lines[-1]}") as server:
        signed_in(office, server, endpoint)
        office.write()
        done = office.migrate("--debug", "run", "--as-of", T30)
    assert done.code == 6
    for secret in (SECRET, "s3cr3t-token", base64.b64encode(b"user=mailer@contoso.com").decode()[:20]):
        assert secret not in done.out + done.err


def test_the_secret_of_a_server_that_is_not_used_may_be_missing(office: Office) -> None:
    hired(office, 1)
    with TokenEndpoint(granted("t1")) as endpoint, by_token() as server:
        signed_in(office, server, endpoint)
    office.mail = office.mail.replace('transport = "smtp"', 'transport = "maildir"').replace(
        '{ file = "secret" }', '{ env = "NOBODY_SETS_THIS" }'
    )
    assert office.run(T30)["letters"]["sent"] == 1


def test_a_server_that_needs_its_time_to_take_a_letter_gets_it(office: Office) -> None:
    """`timeout` is one second, the answer to the end of the data comes after two and a half: sent, and sent once."""
    hired(office, 2)
    with ScriptedSmtp(dot=(lambda: time.sleep(2.5), "250 2.0.0 queued")) as server:
        office.mail = f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\ntimeout = 1'
        office.safety = "allow_time_travel = true"
        facts = office.run(T30)
    assert (facts["letters"]["sent"], facts["letters"]["uncertain"], len(server.messages)) == (2, 0, 2)


@pytest.mark.parametrize("name", [None, "mail.example.com"])
def test_check_warns_of_a_machine_without_a_full_name(name: str | None, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrate.mail.helo.machine_name", lambda: None)
    hired(office, 1)
    helo = f'helo = "{name}"\n' if name else ""
    with ScriptedSmtp() as server:
        office.mail = f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n{helo}'
        office.write()
        done = office.migrate("check", "--json")
    warned = [each["said"] for each in done.facts["checks"] if each["part"] == "mail" and each["state"] == "warning"]
    assert ["set [mail.smtp] helo" in said for said in warned] == ([] if name else [True])
    assert server.lines[0] == f"EHLO {name or '[127.0.0.1]'}"


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ('helo = "myhost"', "helo = 'myhost' is no full name"),
        ('helo = "my-host"', "helo = 'my-host' is no full name"),
        ('helo = "[192.0.2.1]"', None),
        ('helo = "[IPv6:2001:db8::1]"', None),
        ('helo = "mail.example.com"\nprovider = "exchange_online"\nrate = ["10/s"]', 'rate = ["10/s"]: as in the example, and more than'),
        ('helo = "mail.example.com"\nprovider = "exchange_online"\nrate = ["30/min"]', None),
    ],
)
def test_check_warns_of_a_short_name_to_greet_with_and_of_a_rate_left_beside_a_provider(
    setting: str, warning: str | None, office: Office
) -> None:
    hired(office, 1)
    with ScriptedSmtp() as server:
        office.mail = f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n{setting}'
        office.write()
        done = office.migrate("check", "--json")
    warned = [each["said"] for each in done.facts["checks"] if each["part"] == "mail" and each["state"] == "warning"]
    assert [warning in said for said in warned if warning] == ([True] if warning else [])
    assert len(warned) == bool(warning)


def test_the_folder_of_a_token_file_is_that_of_the_configuration(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hired(office, 1)
    with TokenEndpoint(granted("t1")) as endpoint, by_token() as server:
        signed_in(office, server, endpoint)
        office.mail = office.mail.replace('client_secret = { file = "secret" }', 'federated_token_file = "secret"')
        monkeypatch.chdir(tmp_path)
        _, mail = mail_checked(office)
    assert mail["state"] == "ok"
    assert endpoint.forms[0]["client_assertion"] == SECRET
