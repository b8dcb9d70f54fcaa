"""Mail servers that refuse, and who is told all the same (design §11): the installed command against a server that does as it is told."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter

import pytest
from crash.killer import taken
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import ScriptedSmtp
from office import Office

SENDER = "550 5.1.0 <security@example.com>: Sender address rejected: User unknown in virtual mailbox table"
QUOTA = ("550 5.4.5 Daily user sending limit exceeded.", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException")


def marked(office: Office) -> int:
    """How many addresses count as dead."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        return int(ledger.execute("SELECT count(*) FROM bounce").fetchone()[0])


def attempts(office: Office) -> Counter[tuple[str, int]]:
    """State and tries of the letters."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        return Counter(ledger.execute("SELECT state, attempts FROM letter").fetchall())


def test_a_sender_that_is_refused_marks_nobody_and_once_it_is_mended_all_are_told_once(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(rcpt=SENDER) as server:
        by_smtp(office, server.port)
        office.write()
        done = office.migrate("run", "--json", "--as-of", T30)
        assert (done.code, done.facts["letters"]["failed"], done.facts["letters"]["queued"]) == (6, 0, 60)
        assert "refuses our sender's address security@example.com" in done.err
        assert SENDER in done.err
        assert 10 <= server.commands.count("RCPT") < 14
    for hour in (9, 10, 11):
        with ScriptedSmtp(rcpt=SENDER) as server:
            by_smtp(office, server.port)
            office.write()
            assert office.migrate("send", "--as-of", f"2024-01-02T{hour:02}:00").code == 6
            assert (server.connections, server.commands.count("RCPT")) == (1, 1)
    assert marked(office) == 0
    assert attempts(office) == {("queued", 0): 60}
    assert {row["state"] for row in office.report("notices")} == {"queued"}
    got: Counter[str] = Counter()
    for hour in (12, 20):
        with ScriptedSmtp() as server:
            by_smtp(office, server.port)
            office.write()
            assert office.migrate("send", "--as-of", f"2024-01-02T{hour:02}:00").code == 0
            got += taken(server)
    assert (len(got), set(got.values())) == (60, {1})
    assert attempts(office) == {("sent", 1): 60}
    assert office.migrate("ledger", "check").code == 0


@pytest.mark.parametrize("said", QUOTA)
def test_a_quota_that_is_said_for_good_after_the_data_loses_nobody(said: str, office: Office) -> None:
    """Twenty a day, three days: each start sends what it may, and burns nothing."""
    hired(office, 60)
    got: Counter[str] = Counter()
    for day, code in ((2, 6), (3, 6), (4, 0)):
        with ScriptedSmtp(dot=[*["250 2.0.0 queued"] * 20, *[said] * 200]) as server:
            by_smtp(office, server.port, connections=1)
            office.write()
            done = office.migrate("run", "--json", "--as-of", f"2024-01-{day:02}T06:00")
            assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["failed"]) == (code, 20, 0)
            refused = len(server.messages) - 20
            assert refused == (10 if code else 0)
            assert said.rstrip(".") in done.err or not code
            del server.messages[20:]
            got += taken(server)
    assert (len(got), set(got.values())) == (60, {1})
    assert attempts(office) == {("sent", 1): 60}
    assert marked(office) == 0


def test_a_block_of_dead_accounts_keeps_no_living_one_from_a_letter(office: Office) -> None:
    hired(office, 280)
    with ScriptedSmtp(rcpt=["550 5.1.1 no such user"] * 250) as server:
        by_smtp(office, server.port, connections=1)
        facts = office.run(T30, code=5)
        assert len(taken(server)) == 30
    assert (facts["letters"]["sent"], facts["letters"]["failed"], facts["letters"]["queued"]) == (30, 250, 0)
    assert {row["account_id"] for row in office.report("notices") if row["state"] == "sent"} == {f"u{n}" for n in range(250, 280)}
    assert marked(office) == 250


def test_connections_that_are_one_too_many_close_and_no_letter_loses_a_try(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(mail=["432 4.3.2 Concurrent connections limit exceeded"] * 2) as server:
        by_smtp(office, server.port, connections=3)
        facts = office.run(T30)
        got = taken(server)
    assert (facts["letters"]["sent"], facts["letters"]["queued"]) == (60, 0)
    assert (len(got), set(got.values())) == (60, {1})
    assert attempts(office) == {("sent", 1): 60}


def test_addresses_that_a_server_cannot_be_told_keep_nobody_else_from_a_letter(office: Office) -> None:
    for n in range(25):
        office.hire(f"a{n:03}", "sms", mail=f"jürgen{n:03}@example.com")
    hired(office, 5)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        facts = office.run(T30, code=5)
    assert (facts["letters"]["sent"], facts["letters"]["failed"]) == (5, 25)
    assert marked(office) == 0


def test_everybody_refused_in_the_same_words_was_not_about_the_letters(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(dot="554 Message rejected: Email address is not verified.") as server:
        by_smtp(office, server.port, connections=1)
        facts = office.run(T30, code=6)
        assert len(server.messages) == 10
    assert (facts["letters"]["failed"], facts["letters"]["queued"]) == (0, 60)
    assert attempts(office) == {("queued", 0): 60}
    assert office.migrate("ledger", "check").code == 0
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.write()
        assert office.migrate("send", "--as-of", "2024-01-02T20:00").code == 0
        assert len(taken(server)) == 60
