"""Waves and moved cutoffs, lived through (design §7): who is told which date, once, and who is told that it is another one now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import Campaign
from office import Office, body
from without_cache import SETTING

from migrate.ledger import schema
from migrate.ledger.engine import Ledger

FEBRUARY, MARCH, JULY = "2024-02-01T08:00:00Z", "2024-03-01T08:00:00Z", "2024-07-01T07:00:00Z"
ADMINS = """
[[waves]]
name = "admins"
match = { groups = ["role:Global Administrator"], account_type = ["guest"] }
follows = true
cutoff = 2024-07-01
"""
ROLE = "role:Global Administrator"


def letters(campaign: Campaign) -> list[tuple[str, str, str, str]]:
    """(account, occasion, told cutoff, state) of every letter, in the order of their ids."""
    letter, notice = schema.letter, schema.notice
    wanted = sa.select(letter.c.account_id, letter.c.occasion, notice.c.told_cutoff, letter.c.state)
    joined = letter.join(notice, letter.c.notice_id == notice.c.id)
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.read() as connection:
        return [tuple(row) for row in connection.execute(wanted.select_from(joined).order_by(letter.c.id))]


def new(campaign: Campaign, when: str, **options: Any) -> list[tuple[str, str, str, str]]:
    """The letters that a run makes, or moves on."""
    before = letters(campaign) if campaign.ledger.exists() else []
    campaign.run(when, **options)
    return [each for each in letters(campaign) if each not in before]


@pytest.fixture(params=[pytest.param("with what the last run kept", marks=pytest.mark.cache), "without it"])
def campaign(request: pytest.FixtureRequest, tmp_path: Path) -> Campaign:
    """A campaign whose runs look at what changed alone, or at everybody."""
    made = Campaign(tmp_path)
    if request.param == "without it" and not SETTING:
        made.edit("[reports]", "image = false\n[reports]")
    return made


def test_a_cutoff_moved_earlier_and_later_is_told_once_to_everybody_who_was_told_another(campaign: Campaign) -> None:
    for name in ("ann", "bob"):
        campaign.person(name)
    campaign.person("cem", "totp")
    assert new(campaign, "2023-12-04 14:00") == [("ann", "T-60", FEBRUARY, "sent"), ("bob", "T-60", FEBRUARY, "sent")]
    campaign.person("new")
    campaign.person("bob", "totp")
    campaign.edit("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-03-01T00:00:00")
    # Whoever moved on, or was never told, is told nothing of the move; the newcomer hears of the stage that is due.
    assert new(campaign, "2023-12-04 15:00") == [
        ("ann", "moved-1", MARCH, "sent"),
        ("new", "opens", MARCH, "sent"),
        ("bob", "change-1", "", "sent"),
    ]
    assert new(campaign, "2023-12-05 14:00") == []
    # It counts as every stage that was due by then; the next one is told as ever.
    assert new(campaign, "2024-01-02 14:00") == [("ann", "T-60", MARCH, "sent"), ("new", "T-60", MARCH, "sent")]
    campaign.edit("cutoff = 2024-03-01T00:00:00", "cutoff = 2024-02-01T00:00:00")
    assert new(campaign, "2024-01-02 15:00") == [("ann", "moved-2", FEBRUARY, "sent"), ("new", "moved-1", FEBRUARY, "sent")]
    assert new(campaign, "2024-01-03 14:00") == [], "the correction counts as T-30, which was due"
    assert [each[:2] for each in new(campaign, "2024-01-18 14:00")] == [("ann", "T-14"), ("new", "T-14")]
    campaign.edit("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-03-01T00:00:00")
    assert [each[:2] for each in new(campaign, "2024-01-19 14:00")] == [("ann", "moved-3"), ("new", "moved-2")]
    assert [each[:2] for each in new(campaign, "2024-02-01 14:00")] == [("ann", "T-30"), ("new", "T-30")]


def test_who_becomes_an_administrator_and_ceases_to_be_one_is_told_the_new_date_each_time(campaign: Campaign) -> None:
    campaign.path.write_text(campaign.path.read_text() + ADMINS)
    for name in ("ann", "bob"):
        campaign.person(name)
    campaign.person("root", groups=f"staff|{ROLE}")
    assert new(campaign, "2023-12-04 14:00") == [
        ("ann", "T-60", FEBRUARY, "sent"),
        ("bob", "T-60", FEBRUARY, "sent"),
        ("root", "opens", JULY, "sent"),
    ]
    campaign.person("ann", groups=ROLE)
    assert new(campaign, "2023-12-05 14:00") == [("ann", "moved-1", JULY, "sent")]
    assert new(campaign, "2023-12-06 14:00") == []
    assert new(campaign, "2024-01-02 14:00") == [("bob", "T-30", FEBRUARY, "sent")], "July's T-60 is far off"
    campaign.person("ann", groups="")
    campaign.person("root", groups="staff")
    assert new(campaign, "2024-01-03 14:00") == [("ann", "moved-2", FEBRUARY, "sent"), ("root", "moved-1", FEBRUARY, "sent")]
    assert new(campaign, "2024-01-03 16:00") == []
    # Once more: hers is July again, so February's end is nothing to her.
    campaign.person("ann", groups=ROLE)
    assert new(campaign, "2024-01-04 14:00") == [("ann", "moved-3", JULY, "sent")]
    assert [each[:2] for each in new(campaign, "2024-02-01 14:00")] == [("bob", "T+0"), ("root", "T+0")]
    assert [each[:2] for each in new(campaign, "2024-05-02 14:00")] == [("ann", "T-60"), ("bob", "T+14"), ("root", "T+14")]
    # Who ceases to be one when February is long over is told so at once, and not told that it has passed a second time.
    campaign.person("ann", groups="")
    assert new(campaign, "2024-05-03 14:00") == [("ann", "moved-4", FEBRUARY, "sent")]
    assert new(campaign, "2024-05-20 14:00") == []


def test_a_letter_that_waits_and_names_the_old_date_is_withdrawn_and_nobody_who_was_told_nothing_is_corrected(campaign: Campaign) -> None:
    campaign.person("ann")
    assert new(campaign, "2023-12-04 14:00", send=False) == [("ann", "T-60", FEBRUARY, "queued")]
    campaign.edit("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-03-01T00:00:00")
    assert new(campaign, "2023-12-05 14:00") == [("ann", "T-60", FEBRUARY, "withdrawn"), ("ann", "opens", MARCH, "sent")]
    campaign.edit("cutoff = 2024-03-01T00:00:00", "cutoff = 2024-02-01T00:00:00")
    assert new(campaign, "2023-12-06 14:00", send=False) == [("ann", "moved-1", FEBRUARY, "queued")]
    # A correction that nobody saw is taken back with the move, and nothing is to be corrected.
    campaign.edit("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-03-01T00:00:00")
    assert new(campaign, "2023-12-07 14:00") == [("ann", "moved-1", FEBRUARY, "withdrawn")]
    campaign.edit("cutoff = 2024-03-01T00:00:00", "cutoff = 2024-02-01T00:00:00")
    assert new(campaign, "2023-12-08 14:00") == [("ann", "moved-1", FEBRUARY, "sent")], "the same notice, put back"


def test_a_correction_that_waits_past_the_new_cutoff_is_told_as_one_that_has_passed(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.run("2023-12-04 14:00")
    campaign.edit("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-01-10T00:00:00")
    assert [each[1::2] for each in new(campaign, "2024-01-02 14:00", send=False)] == [("moved-1", "queued")]
    assert [each[1::2] for each in new(campaign, "2024-01-09 14:00", send=False)] == [], "T-1 is due, and the correction speaks for it"
    assert [each[1::2] for each in new(campaign, "2024-01-11 14:00")] == [("moved-1", "sent")]
    assert new(campaign, "2024-01-12 14:00") == []


def test_a_wave_that_does_not_follow_keeps_its_people_whatever_becomes_of_them(campaign: Campaign) -> None:
    campaign.path.write_text(campaign.path.read_text() + ADMINS.replace("follows = true\n", ""))
    campaign.person("ann", groups=ROLE)
    campaign.person("bob")
    campaign.run("2023-12-04 14:00")
    campaign.person("ann", groups="")
    campaign.person("bob", groups=ROLE)
    assert new(campaign, "2023-12-05 14:00") == []
    # Another cutoff of the wave moves nobody into it or out of it, and is told to those who are in it.
    campaign.edit("cutoff = 2024-07-01", "cutoff = 2024-03-01")
    assert new(campaign, "2023-12-06 14:00") == [("ann", "moved-1", MARCH, "sent")]
    # A wave that is matched in another way is another wave: everybody is assigned anew.
    campaign.edit(f'["{ROLE}"]', f'["{ROLE}", "board"]')
    assert new(campaign, "2023-12-07 14:00") == [("ann", "moved-2", FEBRUARY, "sent"), ("bob", "moved-1", MARCH, "sent")]


WAVES = """
[schedule]
calls_per_100_letters = 50
[[waves]]
name = "admins"
follows = true
cutoff = 2024-07-01
[waves.match]
groups = ["admins"]
"""


def lived(office: Office) -> list[Any]:
    """Somebody becomes an administrator and ceases to be one; then the campaign's own cutoff moves."""
    office.more = WAVES
    for name in ("ann", "bob"):
        office.hire(name)
    office.hire("root", groups="admins")
    said: list[Any] = []
    for day, groups in (("2023-12-04T14:00", None), ("2023-12-05T14:00", "admins"), ("2023-12-06T14:00", None)):
        office.change("ann", groups=groups)
        said.append(office.run(day)["letters"])
        said.append(
            [(row["account_id"], row["wave"], row["cutoff"], row["days_left"], row["next_stage"]) for row in office.report("accounts")]
        )
    said.append(office.told())
    return said


def test_every_database_tells_the_same_people_of_a_moved_cutoff(tmp_path: Path, postgres_url: str, mariadb_url: str) -> None:
    here = lived(Office(tmp_path / "sqlite"))
    assert here == lived(Office(tmp_path / "postgres", ledger=postgres_url))
    assert here == lived(Office(tmp_path / "mariadb", ledger=mariadb_url))
    assert here[-1] == [
        ("ann@example.com", "T-60"),
        ("ann@example.com", "moved-1"),
        ("ann@example.com", "moved-2"),
        ("bob@example.com", "T-60"),
        ("root@example.com", "opens"),
    ]
    assert here[3] == [
        ("ann", "admins", JULY, "209", "T-60"),
        ("bob", "", FEBRUARY, "58", "T-30"),
        ("root", "admins", JULY, "209", "T-60"),
    ]


def test_status_a_dry_run_and_explain_show_whose_date_is_which(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    told = office.migrate("status", "--as-of", "2023-12-06T18:00", "--json").facts["waves"]
    assert [(each["name"], each["accounts"], each["reminded"], each["next_stage"]) for each in told] == [
        ("admins", 1, 1, "T-60"),
        ("", 2, 2, "T-30"),
    ]
    assert {name: told[1]["coming"][0][name] for name in ("stage", "on", "letters", "a_day", "calls")} == {
        "stage": "T-30", "on": "2024-01-02", "letters": 2, "a_day": 2, "calls": 1,
    }  # fmt: skip
    printed = office.migrate("status", "--as-of", "2023-12-06T18:00").out
    assert "Calls expected" in printed and "(everybody else)" in printed
    office.write()
    foretold = office.migrate("dry-run", "--as-of", "2023-12-06T18:00", "--out", str(tmp_path / "plan")).out
    rows = [" ".join(line.split()) for line in foretold.splitlines()]
    assert "2024-01-02 (everybody else) T-30 2 2 1" in rows, foretold
    page = office.folder / "again" / "report.html"
    assert office.migrate("report", "--format", "html", "--out", str(page.parent)).code == 0
    assert '<th scope="row">admins</th><td>1 Jul 2024</td>' in page.read_text(encoding="utf-8")
    office.change("ann", groups="admins")
    office.write()
    tried = office.migrate("dry-run", "--json", "--as-of", "2023-12-07T14:00").facts
    assert [(each["name"], each["accounts"]) for each in tried["waves"]] == [("admins", 2), ("", 1)]
    plan = Office.table(Path(tried["out"]) / "plan.csv")
    assert [(row["account_id"], row["kind"], row["occasion"], row["days_left"]) for row in plan] == [
        ("ann", "cutoff_moved", "moved-3", "207")
    ]
    office.run("2023-12-07T15:00", "--plan", tried["out"])
    letter = office.mails()[-1]
    assert letter["Subject"] == "More time: text message codes for your Example account end after 30 June 2024"
    assert "before, we told you that they would work until the end of Wednesday, 31 January 2024" in body(letter)
    assert "They work until the end of Sunday, 30 June 2024" in body(letter) and "You have 207 days left." in body(letter)
    found = office.migrate("explain", "ann", "--json", "--as-of", "2023-12-07T16:00").facts
    assert (found["account"]["wave"], found["told_cutoff"], found["next"]) == ("admins", JULY, {"stage": "T-60", "on": "2024-05-02"})
    assert "that of the wave admins; last told" in office.migrate("explain", "ann", "--as-of", "2023-12-07T16:00").out
    assert office.migrate("ledger", "check").code == 0


def test_the_cutoff_is_not_said_to_have_taken_anything_from_whoever_has_a_later_one(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = WAVES
    office.hire("ann")
    office.hire("bob")
    office.hire("root", groups="admins")
    later = "1 of those who must still move has a later cutoff: see the waves."
    for day, says, theirs in (
        ("2024-01-18", "3 people must still move by 1 Feb 2024", "1 of them has a later cutoff: it happens to them on that day."),
        (
            "2024-02-03",
            "the cutoff took text messages from 2 people who had nothing else",
            "1 of them has a later cutoff, which has done nothing to them yet.",
        ),
    ):
        office.run(f"{day}T14:00")
        told = office.migrate("status", "--json", "--as-of", f"{day}T15:00").facts["verdict"]
        assert says in told["said"] and later in told["because"]
        assert office.migrate("report", "--format", "html", "--out", str(office.folder / day)).code == 0
        page = (office.folder / day / "report.html").read_text(encoding="utf-8")
        assert says in page and later in page and theirs in page


def test_a_correction_that_a_reviewer_struck_out_is_not_sent_and_the_next_stage_names_the_new_date(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = WAVES
    office.hire("ann")
    office.run("2023-12-04T14:00")
    office.change("ann", groups="admins")
    office.write()
    out = office.migrate("dry-run", "--json", "--as-of", "2023-12-05T14:00").facts["out"]
    plan = Path(out) / "plan.csv"
    plan.write_text(plan.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert office.run("2023-12-05T15:00", "--plan", out)["outcomes"] == {"not_in_plan": 1}
    assert office.run("2023-12-06T15:00")["outcomes"] == {"nothing_due": 1}
    office.run("2024-05-02T15:00")
    assert office.told() == [("ann@example.com", "T-60"), ("ann@example.com", "T-60")]
    assert "30 June 2024" in body(office.mails()[-1])


def test_a_confirmation_to_somebody_in_a_wave_names_its_cutoff(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = WAVES
    office.hire("root", "totp", groups="admins")
    office.run("2023-12-04T14:00")
    office.change("root", mfa="totp;sms")
    office.run("2023-12-05T14:00")
    assert "only until the end of Sunday, 30 June 2024" in body(office.mails()[-1])


@pytest.mark.parametrize(
    ("waves", "says"),
    [
        ('[[waves]]\nname = "a"\nmatch = {}', "has nothing in it; it needs one of department"),
        ('[[waves]]\nname = "a"\nmatch = { group = ["x"] }', "did you mean groups?"),
        ('[[waves]]\nname = "a"\nmatch = { account_type = ["robot"] }', "[waves.match] account_type"),
        (
            '[[waves]]\nname = "a"\nmatch = { privileged = true }\n[[waves]]\nname = "a"\nmatch = { privileged = false }',
            "names two waves 'a'",
        ),
        ('[[waves]]\nname = "a"\nmatch = { privileged = true }\ncutoff = 2023-07-01', "opens on 2023-08-01, not before its cutoff"),
        ('[[waves]]\nname = "a"\nmatch = { ids = "nowhere.csv" }', "cannot be read (No such file or directory)"),
        ('[waves]\nname = "a"', "[waves]"),
        ('[[wave]]\nname = "a"', "did you mean [waves]?"),
    ],
)
def test_what_is_wrong_with_a_wave_is_said_by_its_key(tmp_path: Path, waves: str, says: str) -> None:
    office = Office(tmp_path / "office")
    office.more = waves
    office.hire("ann")
    office.write()
    done = office.migrate("check")
    assert done.code == 2 and says in done.err + done.out, done.err + done.out


def test_an_account_is_moved_by_hand_through_a_list_of_ids_and_it_alone(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = (
        '[[waves]]\nname = "by-hand"\nmatch = { ids = "by-hand.csv" }\n'
        '[[waves]]\nname = "board"\nmatch = { groups = ["board"] }\ncutoff = 2024-07-01'
    )
    listed = office.folder / "by-hand.csv"
    listed.write_text("nobody\n", encoding="utf-8")
    for name in ("ann", "bob"):
        office.hire(name, groups="board")
    office.hire("cem")
    office.run("2023-12-04T14:00")
    office.change("bob", groups=None)
    office.change("cem", groups="board")
    listed.write_text("nobody\nann\n", encoding="utf-8")
    office.run("2023-12-05T14:00")
    assert [(row["account_id"], row["wave"], row["cutoff"]) for row in office.report("accounts")] == [
        ("ann", "by-hand", FEBRUARY),
        ("bob", "board", JULY),
        ("cem", "", FEBRUARY),
    ]
    assert office.told() == [
        ("ann@example.com", "moved-1"),
        ("ann@example.com", "opens"),
        ("bob@example.com", "opens"),
        ("cem@example.com", "T-60"),
    ]


def test_a_letter_outside_the_send_hours_is_foretold_by_the_cutoff_of_its_own_account(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = WAVES.replace("[schedule]", '[schedule]\ndays_before = [1]\nsend_hours = "08:00-18:00"')
    office.mail = 'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = 9\nsecurity = "none"\nrate = "1/s"'
    office.safety = "allow_time_travel = true"
    office.hire("ann")
    office.write()
    tonight = office.migrate("dry-run", "--json", "--as-of", "2024-01-31T20:00").facts["delivery"]
    assert tonight["done_at"] == "2024-02-01T04:00:01Z", "her cutoff is at midnight, though that of the wave is in July"
    office.hire("root", groups="admins")
    office.write()
    both = office.migrate("dry-run", "--json", "--as-of", "2024-01-31T20:00").facts["delivery"]
    assert (both["letters"], both["done_at"]) == (2, "2024-02-01T16:00:02Z")
    office.run("2024-01-31T20:00", "--no-send")
    queued = office.migrate("status", "--json", "--as-of", "2024-01-31T20:00").facts["delivery"]
    assert queued == both


def test_a_file_of_ids_is_a_part_of_the_configuration(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = '[[waves]]\nname = "pilot"\nmatch = { ids = "pilot.csv" }\ncutoff = 2024-03-01'
    for name in ("ann", "bob"):
        office.hire(name)
    listed = office.folder / "pilot.csv"
    listed.write_text("name,account_id\nAnn,ann\n", encoding="utf-8")
    office.run("2023-12-04T14:00")
    office.write()
    out = office.migrate("dry-run", "--json", "--as-of", "2023-12-05T13:00").facts["out"]
    listed.write_text("bob\n", encoding="utf-8")
    assert "the configuration changed since the plan" in office.migrate("run", "--plan", out, "--as-of", "2023-12-05T14:00").err
    office.run("2023-12-05T14:00")
    assert [(row["account_id"], row["wave"]) for row in office.report("accounts")] == [("ann", ""), ("bob", "pilot")]
    assert [occasion for _, occasion in office.told()].count("moved-1") == 2
