"""Mail servers that refuse, and who is told all the same (design §11): the installed command against a server that does as it is told."""

from __future__ import annotations

import contextlib
import email
import socket
import sqlite3
from collections import Counter
from datetime import date, timedelta

import pytest
from crash.killer import taken
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import DROP, Answer, ScriptedSmtp
from office import Office
from variants import soak

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


@pytest.mark.parametrize(
    ("answers", "usual", "connections"),
    [
        ({"mail": "452 4.5.3 Daily sending quota exceeded"}, "250 ok", 2),
        ({"rcpt": "550 Domain example.com has exceeded the max emails per hour (21/20 (105%)) allowed."}, "250 ok", 4),
        ({"rcpt": "450 4.7.1 <ada>: Recipient address rejected: Rate limit reached. Retry later"}, "250 ok", 2),
        ({"data": "554 5.7.1 Daily limit"}, "354 go ahead", 2),
        ({"dot": "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"}, "250 ok", 4),
        ({"dot": "550-5.4.5 Daily user\r\n550-5.4.5 sending limit\r\n550 5.4.5 exceeded"}, "250 ok", 1),
    ],
    ids=["MAIL", "RCPT", "RCPT for now", "DATA", "a code of its own", "three lines"],
)
def test_a_quota_loses_nobody_wherever_and_however_it_is_said(
    answers: dict[str, str], usual: str, connections: int, office: Office
) -> None:
    hired(office, 60)
    ((verb, said),) = answers.items()
    got: Counter[str] = Counter()
    for day, code in ((2, 6), (3, 6), (4, 0)):
        with ScriptedSmtp(**{verb: [usual] * 20 + [said] * 200}) as server:
            by_smtp(office, server.port, connections=connections)
            office.write()
            done = office.migrate("run", "--json", "--as-of", f"2024-01-{day:02}T06:00")
            assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["failed"]) == (code, 20, 0)
            del server.messages[20:]
            got += taken(server)
    assert (len(got), set(got.values())) == (60, {1})
    assert attempts(office) == {("sent", 1): 60}
    assert marked(office) == 0


@pytest.mark.parametrize(("over", "code"), [(9, 6), (5, 6), (4, 0)])
def test_a_quota_that_is_reached_shortly_before_the_end_is_exit_6_too(over: int, code: int, office: Office) -> None:
    hired(office, 20 + over)
    with ScriptedSmtp(dot=["250 2.0.0 queued"] * 20 + [QUOTA[0]] * 100) as server:
        by_smtp(office, server.port, connections=1)
        facts = office.run(T30, code=code)
    assert (facts["letters"]["sent"], facts["letters"]["failed"], facts["letters"]["queued"]) == (20, 0, over)
    assert attempts(office) == {("sent", 1): 20, ("queued", 0): over}


def test_a_block_of_dead_accounts_keeps_no_living_one_from_a_letter(office: Office) -> None:
    hired(office, 280)
    with ScriptedSmtp(rcpt=["550 5.1.1 no such user"] * 250) as server:
        by_smtp(office, server.port, connections=1)
        facts = office.run(T30, code=5)
        assert len(taken(server)) == 30
    assert (facts["letters"]["sent"], facts["letters"]["failed"], facts["letters"]["queued"]) == (30, 250, 0)
    assert {row["account_id"] for row in office.report("notices") if row["state"] == "sent"} == {f"u{n}" for n in range(250, 280)}
    assert marked(office) == 250


class PerAddress(ScriptedSmtp):
    """Answers RCPT by who it is for; to one connection at a time."""

    def __init__(self, dead: str, says: str) -> None:
        super().__init__()
        self._dead, self._says = dead, says

    def _answer(self, line: socket.socket, verb: str) -> bool:
        if verb == "rcpt" and f"<{self._dead}" in self.lines[-1]:
            line.sendall(self._says.encode() + b"\r\n")
            return False
        return super()._answer(line, verb)


def day_of_cron(office: Office, day: date) -> list[int]:
    """A day as docs/operate.md has cron live it: a run at 06:30, `send` each hour from 9 to 17, a look at noon; their exit codes."""
    codes = [office.migrate("run", "--quiet", "--as-of", f"{day}T06:30").code]
    for hour in range(9, 18):
        codes.append(office.migrate("send", "--quiet", "--as-of", f"{day}T{hour:02}:00").code)
        if hour == 12:
            assert office.migrate("status", "--max-age", "26h", "--as-of", f"{day}T12:00").code == 0
    return codes


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("people", "what", "said", "connections"),
    [
        (100, "reminders", QUOTA[0], 4),
        soak(260, "reminders", QUOTA[0], 4),
        soak(260, "reminders", QUOTA[1], 1),
        soak(260, "confirmations", QUOTA[0], 4),
        soak(260, "confirmations", QUOTA[1], 1),
    ],
)
def test_more_people_than_a_quota_of_40_a_day_by_the_documented_cron_lines(
    people: int, what: str, said: str, connections: int, office: Office
) -> None:
    hired(office, people)
    first = date(2024, 1, 2)
    if what == "confirmations":
        office.run(f"{first - timedelta(days=1)}T06:30", "--no-send")
        for n in range(people):
            office.change(f"u{n:03}", mfa="totp")
    got: Counter[str] = Counter()
    for days in range(people // 40 + 2):
        day = first + timedelta(days=days)
        with ScriptedSmtp(dot=[*["250 2.0.0 queued"] * 40, *[said] * 2000]) as server:
            by_smtp(office, server.port, connections=connections)
            office.safety += "\nmax_changes = 1.0"
            office.write()
            codes = day_of_cron(office, day)
            taken_by, refused = taken_at(server, 40)
        got += taken_by
        over = sum(got.values()) < people
        assert set(codes) == ({6} if over else set(codes) & {0, 6}), (day, codes)
        # One streak when the quota is reached, and one letter for each start after it.
        assert refused <= 10 + connections + 9 * over, (day, refused)
        assert marked(office) == 0
        assert {state for state, _ in attempts(office) if state != "withdrawn"} <= {"sent", "queued"}
    assert (len(got), set(got.values())) == (people, {1})
    assert attempts(office)["sent", 1] == people
    assert office.migrate("ledger", "check").code == 0


def taken_at(server: ScriptedSmtp, quota: int) -> tuple[Counter[str], int]:
    """Who got a letter within the quota, and how many were refused beyond it."""
    refused = max(0, len(server.messages) - quota)
    del server.messages[quota:]
    return taken(server), refused


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("says", "days_before"),
    [
        soak("550 5.1.1 no such user", [30, 14, 7, 3, 1]),
        soak("550 5.1.1 no such user", [30, 1]),
        ("550 Unrouteable address", [3]),
        ("450 4.1.1 unknown local recipient", [1]),
    ],
)
def test_30_living_people_behind_250_dead_accounts_get_every_stage_on_its_day(says: str, days_before: list[int], office: Office) -> None:
    for n in range(250):
        office.hire(f"dead{n:03}", "sms")
    for n in range(30):
        office.hire(f"living{n:02}", "sms")
    office.more = f"[schedule]\ndays_before = {days_before}\ndays_after = [0]"
    for before in [*days_before, 0]:
        day, stage = date(2024, 2, 1) - timedelta(days=before), f"T-{before}" if before else "T+0"
        with PerAddress("dead", says) as server:
            by_smtp(office, server.port, connections=1)
            office.write()
            day_of_cron(office, day)
            letters = [email.message_from_bytes(message) for message in server.messages]
        told = Counter(letter["To"] for letter in letters if letter["X-Migrate-Occasion"] == stage)
        assert (len(letters), len(told), set(told.values())) == (30, 30, {1}), stage
        assert all(to.startswith("living") for to in told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "kind", "stage"),
    [soak(date(2024, 1, 2), "reminder", "T-30"), (date(2024, 1, 28), "final_reminder", "T-3")],
)
def test_a_sender_refused_for_three_days_and_then_mended_by_the_documented_cron_lines(
    first: date, kind: str, stage: str, office: Office
) -> None:
    hired(office, 60)
    office.more = "[schedule]\ndays_before = [30, 3]\ndays_after = []"
    got: Counter[str] = Counter()
    for days in range(5):
        refused = days < 3
        with ScriptedSmtp(**({"rcpt": SENDER} if refused else {})) as server:
            by_smtp(office, server.port)
            office.write()
            codes = day_of_cron(office, first + timedelta(days=days))
            if not refused:
                got += Counter(email.message_from_bytes(message)["To"] for message in server.messages)
        assert marked(office) == 0
        assert not refused or set(codes) == {6}
        assert {state for state, tries in attempts(office) if tries == (0 if state == "queued" else 1)} <= {"queued", "sent", "withdrawn"}
    assert (len(got), set(got.values())) == (60, {1})
    assert {row["last_notice"] for row in office.report("accounts")} == {f"{kind} {stage}"}
    assert {row["last_notice_state"] for row in office.report("accounts")} == {"sent"}


@pytest.mark.parametrize(
    "answers",
    [
        {"mail": ("250 2.1.0 ok", DROP)},
        {"rcpt": DROP},
        {"rcpt": "what?"},
        {"data": "250 2.0.0 not what was asked"},
    ],
    ids=["drops after MAIL", "drops at RCPT", "no number", "out of step"],
)
def test_a_server_that_breaks_every_connection_is_exit_6_however_few_letters_there_are(answers: dict[str, Answer], office: Office) -> None:
    hired(office, 2)
    with ScriptedSmtp(**answers) as server:
        by_smtp(office, server.port, connections=2)
        office.write()
        done = office.migrate("run", "--json", "--as-of", T30)
    assert (done.code, done.facts["letters"]["failed"], done.facts["letters"]["queued"]) == (6, 0, 2)
    assert "the mail server took none of the last 2 letters" in done.err
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.write()
        assert office.migrate("send", "--as-of", "2024-01-02T20:00").code == 0
        assert sorted(taken(server).values()) == [1, 1]
    assert marked(office) == 0


def test_what_the_server_refused_until_the_cutoff_was_never_told_to_anybody_and_is_exit_5(office: Office) -> None:
    hired(office, 3)
    office.more = "[schedule]\ndays_before = [1]\ndays_after = []"
    with ScriptedSmtp(rcpt=SENDER) as server:
        by_smtp(office, server.port)
        office.write()
        assert office.migrate("run", "--as-of", "2024-01-31T09:00").code == 6
        done = office.migrate("send", "--as-of", "2024-02-01T01:00")
        assert (done.code, attempts(office)) == (5, {("withdrawn", 0): 3})
        assert "3 letters were withdrawn: the cutoff came before any try." in done.out
        office.migrate("run", "--as-of", "2024-02-01T06:00")
    notices = office.report("notices")
    assert [(row["state"], row["reason"]) for row in notices] == [("withdrawn", "past_cutoff")] * 3
    assert "Sender address rejected" in office.migrate("explain", notices[0]["reference"]).out


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


def test_one_letter_that_failed_is_told_as_one(office: Office) -> None:
    hired(office, 2)
    with ScriptedSmtp(rcpt=["550 5.1.1 no such user"]) as server:
        by_smtp(office, server.port)
        office.write()
        done = office.migrate("run", "--as-of", T30)
    assert done.code == 5
    assert "1 letter failed and 0 are uncertain: see notices.csv of the reports." in done.out
