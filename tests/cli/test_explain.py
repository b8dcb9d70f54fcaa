"""`migrate explain`: what it prints, and the object of `--json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from campaigns import Campaign

from migrate.cli import main
from migrate.ledger import schema
from migrate.ledger.engine import Ledger


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.person("ann", display_name="Ann\x1b[2J A", phone="+15550100042")
    made.person("bob", "sms", email="team@example.com")
    made.person("cat", "totp", email="team@example.com")
    made.run("2024-01-02 14:00")
    made.person("ann", "totp")
    made.run("2024-01-03 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    return lived.copy(tmp_path / "campaign")


def asked(campaign: Campaign, *arguments: str) -> int:
    return main(["--config", str(campaign.path), "explain", "--as-of", "2024-01-04", *arguments])


def change_letter(campaign: Campaign, reference: str, **values: str) -> None:
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).where(schema.letter.c.reference == reference).values(**values))


def test_everything_about_an_account_is_printed(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(campaign, "ann") == 0
    out = capsys.readouterr().out
    assert "Standing: migrated (compliant) since 2024-01-03 06:00 PST." in out
    assert "It has an accepted method (authenticator app) and no retired one." in out
    assert "At the cutoff: nothing changes (unaffected)." in out
    assert "Change authenticator_enabled: from sms to totp; confirmed." in out
    assert "Outcome of the last run: queued (change_confirmation)." in out
    assert "Next: no reminder. Accounts with the standing migrated are not reminded." in out
    assert "0100042" not in out
    assert "\x1b" not in out


def test_what_was_used_last_and_what_may_be_registered_is_printed(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    used = {"last_used_method": "sms", "last_used_at": "2024-01-01T09:00Z"}
    campaign.person("ann", "sms,totp,other", **used, may_enrol="sms,voice", in_policy="yes", groups="All staff\nrole:Reader")
    campaign.person("bob", "sms", last_used_method="sms", may_enrol="none", in_policy="no")
    campaign.run("2024-01-03 15:00")
    assert asked(campaign, "ann") == 0
    out = capsys.readouterr().out
    assert "  last used    sms on 2024-01-01\n" in out
    assert "  may register sms, voice\n" in out
    assert "  in policy    yes: it may still use a retired method\n" in out
    assert "  groups       All staff; role:Reader\n" in out
    assert "Standing: sms_default (not compliant)" in out
    assert "; its default is not known, and what it used last, text message (SMS), is a retired one." in out
    assert "Not certain: Nobody knows by name every second step that it has: another method.\n" in out
    assert "Destination: it has an accepted method, or may register one (yes)." in out
    assert asked(campaign, "bob") == 0
    out = capsys.readouterr().out
    assert "  last used    sms at a time nobody knows\n" in out
    assert "  may register nothing\n" in out
    assert "  in policy    no\n" in out
    assert "Destination: the directory lets it register none of the accepted methods (no)." in out
    assert "Next: no reminder. The directory lets it register none of the accepted methods, so it cannot do what a reminder asks." in out
    assert "Not certain" not in out
    assert asked(campaign, "ann", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    told = {name: found["account"][name] for name in ("last_used_method", "last_used_at", "may_enrol", "in_policy", "groups")}
    assert told == {
        "last_used_method": "sms",
        "last_used_at": "2024-01-01T09:00:00Z",
        "may_enrol": ["sms", "voice"],
        "in_policy": True,
        "groups": ["All staff", "role:Reader"],
    }
    assert (found["certain"], found["destination"]) == (False, "yes")


def test_of_what_nobody_knows_nothing_is_printed(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(campaign, "bob") == 0
    out = capsys.readouterr().out
    assert not [line for line in out.splitlines() if line.startswith(("  last used", "  may register", "  in policy", "  groups"))]
    assert "Destination: the directory does not say what it may register (unknown)." in out


def test_a_reference_shows_the_letter_first_and_how_to_tell_it_is_genuine(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    reference = campaign.explained("ann").notices[0].reference
    assert asked(campaign, reference[:4].lower(), reference[4:].lower()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Letter {reference}: reminder (T-30)"
    assert lines[1].split() == ["to", "ann@example.com"]
    assert lines[2].split()[0] == "subject"
    assert "30 days left" in lines[2]
    assert lines[3].split() == ["sent", "2024-01-02", "06:00", "PST"]
    assert lines[4] == "A letter is genuine only if its reference, recipient, subject and date agree with these."


def test_a_letter_that_still_waits_was_received_by_nobody(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    campaign.person("dan")
    campaign.run("2024-01-03 15:00", send=False)
    assert asked(campaign, campaign.explained("dan").notices[0].reference) == 0
    out = capsys.readouterr().out
    assert "not composed yet" in out
    assert "It is queued and was never tried: nobody has received it." in out


def test_a_letter_nobody_can_be_sure_of_says_so(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    reference = campaign.explained("bob").notices[0].reference
    change_letter(campaign, reference, state="uncertain", reply="250 ok\nAccount mallory\n  Genuine")
    assert asked(campaign, reference) == 0
    out = capsys.readouterr().out
    assert "It is uncertain after 1 try: nobody can know whether the server has it." in out
    assert "250 ok Account mallory Genuine" in out


def test_a_letter_to_an_earlier_holder_of_the_id_is_told_as_such(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    reference = campaign.explained("bob").notices[0].reference
    campaign.leaves("bob")
    campaign.run("2024-01-03 15:00")
    campaign.person("bob", "totp", username="bo", email="bo@example.com")
    campaign.run("2024-01-03 16:00")
    assert asked(campaign, reference) == 0
    out = capsys.readouterr().out
    assert "It was written to somebody who had this id before." in out
    assert "reminder (holder 1 of this id)" in out


def test_the_one_json_object_has_the_keys_of_the_manual(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(campaign, "--json", "ann") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["account"]["account_id"] == "ann"
    assert told["account"]["methods"] == ["totp"]
    assert told["account"]["phone"].endswith("42")
    assert (told["standing"], told["compliant"], told["next"]) == ("migrated", True, None)
    assert [each["change"] for each in told["changes"]] == ["authenticator_enabled"]
    assert told["changes"][0]["seen_at"].startswith("2024-01-03T14:00")
    reminder, confirmation = told["notices"]
    assert set(reminder) >= {"reference", "kind", "occasion", "state", "to", "sent_at", "told_cutoff"}
    assert (reminder["occasion"], reminder["told_cutoff"]) == ("T-30", "2024-02-01T08:00:00Z")
    assert confirmation["kind"] == "change_confirmation"


def test_what_comes_next_is_a_stage_and_its_day(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(campaign, "--json", "bob") == 0
    assert json.loads(capsys.readouterr().out)["next"] == {"stage": "T-14", "on": "2024-01-18"}
    assert asked(campaign, "bob") == 0
    assert "Next: T-14 on 2024-01-18, if nothing changes.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("who", "said"), [("team@example.com", "2 accounts: bob, cat. Type one id"), ("nobody", "no account matches 'nobody'.")]
)
def test_nobody_and_several_are_errors_that_say_what_to_type(
    who: str, said: str, campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(campaign, who) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_before_the_first_run_it_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(Campaign(tmp_path), "ann") == 2
    assert "has had no run yet" in capsys.readouterr().err
    assert not (tmp_path / "migrate.db").exists()


def test_an_account_that_is_gone_is_still_explained(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    campaign.leaves("ann")
    campaign.run("2024-01-03 15:00")
    assert asked(campaign, "ann") == 0
    out = capsys.readouterr().out
    assert "Gone from the directory since 2024-01-03 07:00 PST" in out
    assert "Outcome of the last run" not in out
