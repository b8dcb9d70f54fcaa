"""What people put right: addresses that were called dead and are not, and letters that were refused alike (design §11)."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from crash.killer import taken
from journeys.test_decisions import asked
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import DROP, ScriptedSmtp
from office import Done, Office

from migrate.decisions import settling
from migrate.ledger import bounces
from migrate.outbox import again

T29, T28, T14, T13 = "2024-01-03T06:00", "2024-01-04T06:00", "2024-01-18T06:00", "2024-01-19T06:00"
DEAD = "550 5.1.1 no such user"
SPAM = "554 5.6.0 This message looks like SPAM to us"
WHY = ("--reason", "the server was wrong; ticket 4711", "--by", "jo")


class Terminal(io.StringIO):
    """A person who is there to be asked."""

    def isatty(self) -> bool:
        return True


def refused(office: Office, rcpt: Any = None, dot: Any = None, as_of: str = T30, code: int = 5, **settings: Any) -> dict[str, Any]:
    """A run against a server that refuses as it is told."""
    with ScriptedSmtp(**{name: script for name, script in (("rcpt", rcpt), ("dot", dot)) if script is not None}) as server:
        by_smtp(office, server.port, connections=1)
        office.safety += "".join(f"\n{name} = {value}" for name, value in settings.items())
        return office.run(as_of, code=code)


def resend(office: Office, *options: str, as_of: str = T29, state: str = "failed") -> Done:
    return office.migrate("resend", "--state", state, "--as-of", as_of, *options)


def states(office: Office) -> dict[str, str]:
    """Address and occasion → state, of every letter."""
    return {f"{to} {stage}": state for to, stage, state in asked(office, "SELECT address, occasion, state FROM letter ORDER BY id")}


def few_at_once(office: Office, most: int) -> None:
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("max_messages = 100000", f"max_messages = {most}"))


def delivered(office: Office, as_of: str) -> dict[str, int]:
    """What a `send` hands to a server that takes everything: account → letters."""
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.write()
        assert office.migrate("send", "--as-of", as_of).code == 0
        return dict(taken(server))


def test_a_server_that_was_wrong_about_many_is_put_right_in_two_commands_and_each_is_told_once(office: Office) -> None:
    hired(office, 30)
    refused(office, rcpt=[DEAD] * 25)
    shown = office.migrate("bounces", "list", "--as-of", T29)
    assert "u000@example.com  2024-01-02 06:00  2024-04-01 07:00         1  550 5.1.1 no such user\n" in shown.out
    assert "25 addresses count as dead; nothing is mailed there.\n" in shown.out
    done = office.migrate("bounces", "clear", "--since", "2024-01-02", *WHY, "--as-of", T29)
    assert done.code == 0, done.err
    assert "And 15 more: 25 in all.\n" in done.out
    done = resend(office, "--reply", "No Such  User", "--yes", *WHY)
    assert done.code == 0, done.err
    assert "25 failed letters may go again.\n" in done.out
    assert "25 letters that were failed are queued again.\nWritten down: by jo, the server was wrong; ticket 4711\n" in done.out
    got = delivered(office, "2024-01-03T09:00")
    assert (len(got), set(got.values())) == (25, {1})
    assert set(states(office).values()) == {"sent"}
    assert office.migrate("bounces", "list", "--as-of", T29).out == "No address counts as dead.\n"
    assert office.migrate("ledger", "check", "--quiet").out == ""
    assert asked(office, "SELECT DISTINCT cleared_by, cleared_reason FROM bounce") == [("jo", WHY[1])]
    assert asked(office, "SELECT DISTINCT actor, reason FROM letter_event WHERE from_state = 'failed'") == [("jo", WHY[1])]


def test_more_reminded_accounts_cut_off_than_the_floor_are_exit_5_on_every_run_until_they_are_put_right(office: Office) -> None:
    hired(office, 25)
    assert refused(office, rcpt=[DEAD] * 21)["unreachable"] == {"bounced": 21, "allowed": 20}
    # Nothing is due, nothing is sent: what is wrong is that they will hear of nothing.
    facts = office.run(T29, code=5)
    assert (facts["letters"]["failed"], facts["unreachable"]) == (0, {"bounced": 21, "allowed": 20})
    said = office.migrate("run", "--quiet", "--as-of", T29)
    assert said.out.startswith("21 reminded accounts cannot be reached: their address bounced. That is more than [safety] guard_floor = 20")
    assert "`migrate bounces clear --since INSTANT --reason TEXT`" in said.out
    assert office.migrate("bounces", "clear", "u000@EXAMPLE.com", *WHY, "--as-of", T29).code == 0
    said = office.migrate("run", "--quiet", "--as-of", T28)
    assert (said.code, said.out) == (0, "")
    said = office.migrate("run", "--as-of", T28)
    assert "20 reminded accounts cannot be reached: their address bounced; `migrate " in said.out
    assert office.report("notices") == []


def test_who_has_switched_left_or_has_another_address_by_now_is_not_cut_off(office: Office) -> None:
    hired(office, 24)
    refused(office, rcpt=[DEAD] * 24)
    office.change("u000", mfa="totp")
    office.change("u001", mail="u001@new.example")
    office.leave("u002")
    office.change("u003", active="no")
    office.mail = 'transport = "maildir"\n[mail.maildir]\npath = "outbox"'
    assert office.run(T29)["unreachable"] == {"bounced": 20, "allowed": 20}
    # Several accounts may have one address, however it is spelt.
    office.hire("eve", "sms", mail="U005@Example.com")
    assert office.run("2024-01-03T18:00", code=5)["unreachable"]["bounced"] == 21


def test_a_guard_and_a_mail_server_that_refuses_go_before_those_that_are_cut_off(office: Office) -> None:
    hired(office, 60)
    refused(office, rcpt=[DEAD] * 21)
    facts = refused(office, rcpt="550 5.1.0 <security@example.com>: Sender address rejected", as_of=T14, code=6)
    assert facts["unreachable"]["bounced"] == 21
    few_at_once(office, 5)
    done = office.migrate("run", "--json", "--as-of", "2024-01-25T06:00")
    facts = done.facts
    assert done.code == 4
    assert (facts["unreachable"]["bounced"], facts["outcomes"]["held"]) == (21, 39)


def test_status_says_who_cannot_be_reached_and_why_and_what_to_type(office: Office) -> None:
    office.hire("ann", "sms", mail=None)
    office.hire("bob", "sms", mail="bob at example.com")
    office.hire("cem", "sms", mail="cem@elsewhere.example")
    office.hire("dan", "totp", mail=None)
    hired(office, 12)
    refused(office, rcpt=[DEAD] * 11, allowed_domains='["example.com"]')
    done = office.migrate("status", "--as-of", T29)
    assert "Accounts to be reminded that cannot be reached: 11 bounced, 1 no_address, 1 bad_address, 1 domain_not_allowed.\n" in done.out
    assert done.out.count("u***@example.com  bounced  5.1.1\n") == 10
    assert "no_address\n" not in done.out
    assert (
        "bounces list` shows what the mail server said; `migrate bounces clear ADDRESS --reason TEXT` if it takes mail after all.\n"
        in done.out
    )
    assert "no_address: give them one in the directory.\n" in done.out
    facts = office.migrate("status", "--json", "--as-of", T29).facts["unreachable"]
    assert facts["counts"] == {"bounced": 11, "no_address": 1, "bad_address": 1, "domain_not_allowed": 1}
    assert [(each["account_id"], each["outcome"]) for each in facts["accounts"][-4:]] == [
        ("u010", "bounced"), ("ann", "no_address"), ("bob", "bad_address"), ("cem", "domain_not_allowed"),
    ]  # fmt: skip


def test_a_mark_is_cleared_with_who_said_so_and_why_and_an_address_that_has_none_is_refused(office: Office) -> None:
    hired(office, 2)
    refused(office, rcpt=[DEAD])
    before = office.remembered()
    assert office.migrate("bounces", "clear", *WHY, "--as-of", T29).code == 2
    assert office.migrate("bounces", "clear", "u000@example.com", "--since", T30, *WHY, "--as-of", T29).code == 2
    assert office.migrate("bounces", "clear", "u000@example.com", "--reason", " ", "--as-of", T29).code == 2
    done = office.migrate("bounces", "clear", "u000@example.com", "u001@example.com", *WHY, "--as-of", T29)
    assert (done.code, done.err) == (
        2, "Error: u001@example.com does not count as dead; nothing was changed. `migrate bounces list` shows those that do.\n",
    )  # fmt: skip
    done = office.migrate("bounces", "clear", "--since", "2024-01-02T06:01", *WHY, "--as-of", T29)
    assert "no address counts as dead since then; nothing was changed." in done.err
    assert office.remembered() == before
    (listed,) = office.migrate("bounces", "list", "--json", "--as-of", T29).facts["bounces"]
    assert listed | {"since": "", "until": ""} == {
        "address": "u000@example.com", "since": "", "until": "", "code": "5.1.1", "reply": DEAD, "accounts": 1,
    }  # fmt: skip
    done = office.migrate("bounces", "clear", "u000@example.com", *WHY, "--json", "--as-of", T29)
    assert [each["address"] for each in done.facts["cleared"]] == ["u000@example.com"]
    decisions = office.migrate("explain", "u000", "--json", "--as-of", T29).facts["decisions"]
    assert [(each["decision"], each["about"], each["by"], each["reason"]) for each in decisions] == [
        ("bounces clear", "u000@example.com", "jo", WHY[1])
    ]
    assert office.migrate("bounces", "list", "--as-of", "2024-06-01").out == "No address counts as dead.\n"
    office.mail = 'transport = "maildir"\n[mail.maildir]\npath = "outbox"'
    assert office.run(T14)["outcomes"] == {"queued": 2}


def test_only_letters_refused_in_these_words_go_again(office: Office) -> None:
    hired(office, 6)
    refused(office, dot=[SPAM, SPAM, "554 5.6.1 too large", "554 5.6.1 too large"])
    assert resend(office, "--yes", *WHY).err.startswith("Error: --state failed: letters fail for many reasons")
    nothing = resend(office, "--reply", "greylisted", "--yes", *WHY)
    assert (nothing.code, nothing.out.splitlines()[-1]) == (0, "There is nothing to send again; nothing was changed.")
    done = resend(office, "--reply", "looks like spam", "--yes", "--json", *WHY)
    assert (done.facts["found"], done.facts["queued"], done.facts["left"]) == (2, 2, {})
    assert [each["account_id"] for each in done.facts["examples"]] == ["u000", "u001"]
    assert sorted(states(office).values()) == ["failed", "failed", "queued", "queued", "sent", "sent"]
    assert resend(office, "--reply", "too large", "--kind", "announcement", "--yes", "--json", *WHY).facts["found"] == 0
    assert resend(office, "--reply", "too large", "--since", T29, "--yes", "--json", *WHY).facts["found"] == 0
    assert resend(office, "--reply", "too large", "--kind", "poem", "--yes", *WHY).code == 2
    assert resend(office, "--reply", "too large", "--since", T30, "--kind", "reminder", "--yes", "--json", *WHY).facts["queued"] == 2


def test_a_look_changes_nothing_and_where_nobody_can_be_asked_nothing_goes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    hired(office, 3)
    refused(office, rcpt=[DEAD] * 2)
    before = office.remembered()
    look = resend(office, "--reply", "no such user", "--dry-run")
    assert (look.code, look.out.splitlines()[0], look.out.splitlines()[-1]) == (
        0, "2 failed letters may go again.", "Nothing was changed.",
    )  # fmt: skip
    assert "u***@example.com" in look.out
    asked_nobody = resend(office, "--reply", "no such user", *WHY)
    assert asked_nobody.code == 2
    assert "2 letters would go again, and nobody is there to be asked; nothing was changed." in asked_nobody.err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert resend(office, "--reply", "no such user", *WHY).code == 2
    assert resend(office, "--reply", "no such user", "--yes").code == 2  # without a reason
    assert office.remembered() == before
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    done = resend(office, "--reply", "no such user", *WHY)
    assert (done.code, "2 of their addresses counted as dead, and do so no more.\n" in done.out) == (0, True)
    assert sorted(states(office).values()) == ["queued", "queued", "sent"]


def test_more_than_a_run_may_send_unreviewed_go_only_with_their_number(office: Office) -> None:
    hired(office, 6)
    refused(office, rcpt=[DEAD] * 5)
    few_at_once(office, 4)
    before = office.remembered()
    for options in (["--yes"], ["--yes", "--count", "4"], ["--yes", "--count", "6"]):
        done = resend(office, "--reply", "no such user", *options, *WHY)
        assert done.code == 4
        assert "more than [safety] max_messages = 4" in done.err
        assert done.err.endswith("type the same with --count 5.\n")
    assert office.remembered() == before
    assert resend(office, "--reply", "no such user", "--yes", "--count", "5", *WHY).code == 0
    assert sorted(states(office).values()) == ["queued"] * 5 + ["sent"]


@pytest.mark.parametrize("at_once", [5000, 1])
def test_letters_that_would_say_what_is_no_longer_true_stay_and_are_counted_by_why(
    office: Office, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Of many accounts the ledger is asked otherwise than of a few, and says the same."""
    for module in (again, bounces, settling):
        monkeypatch.setattr(module, "BATCH", at_once)
    hired(office, 8)
    refused(office, rcpt=[DEAD] * 8, guard_floor=100)
    office.change("u000", mfa="totp")
    office.leave("u001")
    office.change("u002", mail="u002@new.example")
    office.change("u003", active="no")
    office.mail = 'transport = "maildir"\n[mail.maildir]\npath = "outbox"'
    office.safety = "max_shrink = 1.0\nmax_changes = 1.0"
    office.run(T29)
    for command, account in (("exempt", "u004"), ("pause", "u005")):
        given = office.migrate(command, "add", account, "--until", "2024-01-20", "--owner", "ciso", *WHY, "--as-of", T29)
        assert given.code == 0
    done = resend(office, "--reply", "no such user", "--yes", "--json", *WHY)
    assert done.facts["left"] == {"exempt": 1, "gone": 1, "inactive": 1, "migrated": 1, "paused": 1, "told_elsewhere": 1}
    assert (done.facts["found"], done.facts["queued"], done.facts["cleared"]) == (8, 2, 2)
    assert [to for to, state in states(office).items() if state == "queued"] == ["u006@example.com T-30", "u007@example.com T-30"]
    late = resend(office, "--reply", "no such user", "--dry-run", as_of="2024-02-02T06:00")
    assert "6 past_cutoff: stay as they are, for they speak of a cutoff that has passed.\n" in late.out
    assert office.migrate("ledger", "check", "--quiet").out == ""


def test_of_several_stages_that_failed_only_the_newest_goes_again(office: Office) -> None:
    hired(office, 2)
    refused(office, dot=[SPAM] * 2)
    refused(office, dot=[SPAM] * 2, as_of=T14)
    done = resend(office, "--reply", "spam", "--yes", "--json", *WHY, as_of=T13)
    assert (done.facts["queued"], done.facts["left"]) == (2, {"newer_stage": 2})
    assert {to: state for to, state in states(office).items() if "u000" in to} == {
        "u000@example.com T-30": "failed", "u000@example.com T-14": "queued",
    }  # fmt: skip


def test_of_one_reminder_that_failed_at_two_addresses_the_one_that_the_account_has_now_goes(office: Office) -> None:
    hired(office, 1)
    refused(office, dot=[SPAM])
    office.change("u000", mail="u000@new.example")
    refused(office, dot=[SPAM], as_of="2024-01-02T18:00")
    done = resend(office, "--reply", "spam", "--yes", "--json", *WHY)
    assert (done.facts["queued"], done.facts["left"]) == (1, {"told_elsewhere": 1})
    assert states(office) == {"u000@example.com T-30": "failed", "u000@new.example T-30": "queued"}


def test_uncertain_letters_need_no_words_and_are_said_to_come_twice_perhaps(office: Office) -> None:
    hired(office, 2)
    refused(office, dot=[DROP, DROP])
    assert sorted(states(office).values()) == ["uncertain", "uncertain"]
    done = resend(office, "--yes", *WHY, state="uncertain")
    assert done.code == 0, done.err
    assert "Each of them may have arrived before: then its reader gets it twice.\n" in done.out
    assert sorted(states(office).values()) == ["queued", "queued"]


def test_one_letter_and_many_are_not_asked_for_together(office: Office) -> None:
    hired(office, 1)
    refused(office, dot=[SPAM])
    assert office.migrate("resend", *WHY).code == 2
    assert office.migrate("resend", "AAAA2222", "--state", "failed", "--reply", "spam", *WHY).code == 2
    done = office.migrate("resend", "AAAA2222", "--dry-run", *WHY)
    assert (done.code, "chooses among letters in a state" in done.err) == (2, True)
