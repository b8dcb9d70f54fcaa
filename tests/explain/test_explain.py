"""Everything about one account, and whether a letter is real."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from campaigns import Campaign

from migrate.errors import ConfigError
from migrate.explain.account import Next
from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger
from migrate.run.summary import Summary


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Ann, whose address changed after her first letter; Bob and Cat, who share one; Dan, who has migrated."""
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.person("7", "sms", username="ann", email="ann@old.example", notification_emails="home@ann.example", phone="+15550100042")
    made.person("bob", "sms", email="team@example.com")
    made.person("cat", "totp", email="Team@example.com")
    made.person("dan", "totp")
    made.run("2024-01-02 14:00")
    made.person("7", "sms", email="ann@new.example")
    made.run("2024-01-03 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    """A copy of the campaign, to go on with."""
    return lived.copy(tmp_path / "campaign")


def execute(campaign: Campaign, statement: sa.Executable) -> None:
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.begin() as connection:
        connection.execute(statement)


@pytest.mark.parametrize("asked", ["7", "ann", "ANN", "ann@new.example", "Ann@Old.Example", "HOME@ann.example", " ann "])
def test_an_account_is_found_by_id_username_and_any_address(asked: str, campaign: Campaign) -> None:
    found = campaign.explained(asked)
    assert found.account["account_id"] == "7"
    assert found.letter is None


@pytest.mark.parametrize(
    ("methods", "told", "standing", "why"),
    [
        ("phone,totp", {"default_method": "sms"}, "sms_default", "its default, text message (SMS), is a retired one."),
        ("sms,totp", {"default_method": "totp"}, "sms_fallback", "its default, authenticator app, is not a retired one."),
        ("sms,totp", {"default_method": "voice"}, "sms_fallback", "none of them is known to be its default."),
        ("sms,totp", {}, "sms_fallback", "none of them is known to be its default."),
        ("sms,totp", {"last_used_method": "sms", "last_used_at": "2023-09-01"}, "sms_fallback", "none of them is known to be its default."),
        (
            "sms,totp",
            {"last_used_method": "totp", "last_used_at": "2024-01-01"},
            "sms_fallback",
            "its default is not known, and what it used last, authenticator app, is not a retired one.",
        ),
    ],
)
def test_why_an_account_stands_where_it_does_names_the_default_or_what_stood_in_for_it(
    methods: str, told: dict[str, str], standing: str, why: str, tmp_path: Path
) -> None:
    made = Campaign(tmp_path)
    made.person("ann", methods, **told)
    made.run("2024-01-02 14:00")
    found = made.explained("ann")
    assert (found.standing, found.why.partition("; ")[2]) == (standing, why)


def test_a_policy_that_is_strict_about_words_is_named_as_the_reason(tmp_path: Path) -> None:
    made = Campaign(tmp_path)
    made.edit("[ledger]", "[policy]\nstrict_words = true\n\n[ledger]")
    made.person("ann", "totp,other")
    made.run("2024-01-02 14:00")
    found = made.explained("ann")
    assert (found.standing, found.certain) == ("unknown", False)
    assert found.why == "It has an accepted method (authenticator app), but another method beside it, and the policy asks for a name."


@pytest.mark.parametrize("spell", [str, str.lower, lambda r: f"{r[:4]}-{r[4:]}", lambda r: f" {r[:2].lower()} {r[2:]} "])
def test_a_reference_is_found_as_people_type_it(spell: object, campaign: Campaign) -> None:
    reference = campaign.explained("7").notices[0].reference
    assert callable(spell)
    found = campaign.explained(spell(reference))
    assert found.letter is not None
    assert (found.letter.reference, found.letter.to) == (reference, "ann@old.example")
    assert found.account["email"] == "ann@new.example"


def test_an_address_that_only_a_letter_went_to_is_found(campaign: Campaign) -> None:
    execute(campaign, sa.update(schema.letter).where(schema.letter.c.account_id == "7").values(address="once@ann.example"))
    assert campaign.explained("once@ann.example").account["account_id"] == "7"


def test_part_of_an_address_matches_nobody(campaign: Campaign) -> None:
    for part in ("home@ann", "@ann.example", "%", "_________________"):
        with pytest.raises(ConfigError, match="no account matches"):
            campaign.explained(part)


def test_a_shared_address_lists_the_accounts(campaign: Campaign) -> None:
    with pytest.raises(ConfigError, match=r"2 accounts: bob, cat\. Type one id"):
        campaign.explained("team@example.com")


def test_an_address_that_passed_to_another_person_lists_both(campaign: Campaign) -> None:
    campaign.person("dan", "totp", email="ann@old.example")
    campaign.run("2024-01-04 14:00")
    with pytest.raises(ConfigError, match="2 accounts: 7, dan"):
        campaign.explained("ann@old.example")


def test_an_id_wins_over_the_username_of_another(campaign: Campaign) -> None:
    campaign.person("ann", "totp", username="somebody")
    campaign.run("2024-01-04 14:00")
    assert campaign.explained("ann").account["username"] == "somebody"


def test_an_id_that_is_no_plain_text_is_quoted(campaign: Campaign) -> None:
    campaign.person("a\x1b[2Jb", "sms", email="team@example.com")
    campaign.run("2024-01-04 14:00")
    with pytest.raises(ConfigError) as caught:
        campaign.explained("team@example.com")
    assert str(caught.value).isprintable()


def test_a_made_up_reference_is_called_not_genuine(campaign: Campaign) -> None:
    with pytest.raises(ConfigError, match=r"there is no letter BCDF2345.* not genuine"):
        campaign.explained("bcdf-2345")


def test_a_letter_of_another_campaign_is_named_as_such(campaign: Campaign) -> None:
    reference = campaign.explained("7").notices[0].reference
    campaign.edit('name = "sms-retirement"', 'name = "another"')
    campaign.run("2024-01-04 14:00")
    with pytest.raises(ConfigError, match="letter of another campaign, sms-retirement"):
        campaign.explained(reference)


def test_before_the_first_run_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has had no run yet") as caught:
        Campaign(tmp_path).explained("ann")
    assert caught.value.exit_code == 2


def test_a_phone_is_only_ever_masked(campaign: Campaign) -> None:
    assert re.fullmatch(r"\D+42", campaign.explained("7").account["phone"])


WHY = {
    "inactive": ({"methods": "sms", "enabled": "no"}, "cannot sign in"),
    "exempt_sso": ({"methods": "sms", "federated": "yes"}, "single sign-on"),
    "migrated": ({"methods": "totp"}, r"accepted method \(authenticator app\) and no retired one"),
    "sms_fallback": ({"methods": "sms,totp", "default_method": "totp"}, "its default, authenticator app, is not a retired one"),
    "sms_default": ({"methods": "sms,totp", "default_method": "sms"}, r"its default, text message \(SMS\), is a retired one"),
    "sms_only": ({"methods": "sms,voice"}, r"retired method \(text message \(SMS\) and phone call\) and no accepted one"),
    "unknown": ({"methods": "email_otp"}, "neither an accepted nor a retired method, but code by email"),
    "no_second_step": ({"methods": "backup_code"}, "backup codes alone are none"),
}


def test_every_standing_is_told_with_the_methods_that_gave_it(tmp_path: Path) -> None:
    made = Campaign(tmp_path)
    for word, (given, _) in WHY.items():
        made.person(word, **given)
    made.person("undecided", "sms,totp")
    made.run("2024-01-02 14:00")
    for word, (_, why) in WHY.items():
        found = made.explained(word)
        assert found.standing == word
        assert re.search(why, found.why)
    assert "none of them is known to be its default" in made.explained("undecided").why


def test_an_exemption_is_told_with_its_owner_and_reason(campaign: Campaign) -> None:
    campaign.grant(schema.exemption, "7", "2024-01-20")
    campaign.run("2024-01-04 14:00")
    found = campaign.explained("7", "2024-01-05 14:00")
    assert found.standing == "exempt"
    assert found.why == "It had an exemption until 2024-01-20 at the last run (granted by ciso: at sea)."
    assert found.next is None
    assert found.exemption is not None
    assert found.exemption.until == date(2024, 1, 20)


def test_an_exemption_that_was_taken_back_is_no_longer_one(campaign: Campaign) -> None:
    campaign.grant(schema.exemption, "7", "2024-01-20", removed_at=datetime(2024, 1, 3, tzinfo=UTC))
    assert campaign.explained("7").exemption is None


def test_changes_and_every_letter_of_a_confirmation_are_told(campaign: Campaign) -> None:
    campaign.person("7", "totp")
    campaign.run("2024-01-04 14:00")
    found = campaign.explained("7")
    (change,) = found.changes
    assert (change.change, change.had, change.has, change.state) == ("authenticator_enabled", ("sms",), ("totp",), "confirmed")
    reminder, *confirmations = found.notices
    assert (reminder.kind, reminder.occasion, reminder.state) == ("reminder", "T-30", "sent")
    assert reminder.told_cutoff == "2024-02-01T08:00:00Z"
    assert reminder.sent_at is not None
    assert {each.to for each in confirmations} == {"ann@new.example", "home@ann.example", "ann@old.example"}
    assert {each.told_cutoff for each in confirmations} == {None}
    assert len({each.reference for each in found.notices}) == 4


def test_a_letter_that_was_not_sent_has_no_time_of_sending(campaign: Campaign) -> None:
    campaign.person("eve")
    campaign.run("2024-01-04 14:00", send=False)
    (letter,) = campaign.explained("eve").notices
    assert (letter.state, letter.sent_at, letter.attempts) == ("queued", None, 0)


def test_an_id_used_again_keeps_the_two_people_apart(campaign: Campaign) -> None:
    campaign.leaves("7")
    campaign.run("2024-01-04 14:00")
    campaign.person("7", "sms", username="zoe", email="zoe@example.com", notification_emails="")
    campaign.run("2024-01-05 14:00")
    found = campaign.explained("7")
    assert found.account["tenure"] == 2
    assert [(each.to, each.tenure) for each in found.notices] == [("ann@old.example", 1), ("zoe@example.com", 2)]


def test_the_next_stage_comes_after_the_one_that_was_told(campaign: Campaign) -> None:
    assert campaign.explained("7").next == Next("T-14", date(2024, 1, 18))


def test_a_stage_that_is_due_and_not_told_comes_with_the_next_run(campaign: Campaign) -> None:
    assert campaign.explained("7", "2024-01-20 14:00").next == Next("T-14", date(2024, 1, 20))


def test_the_gap_moves_the_next_stage(campaign: Campaign) -> None:
    campaign.edit("[ledger]", "[schedule]\nmin_gap_days = 17\n\n[ledger]")
    assert campaign.explained("7").next == Next("T-14", date(2024, 1, 19))


def test_a_pause_skips_the_stages_that_fall_into_it(campaign: Campaign) -> None:
    campaign.grant(schema.pause, "7", "2024-01-25")
    found = campaign.explained("7")
    assert found.next == Next("T-7", date(2024, 1, 26))
    assert "paused until 2024-01-25" in found.next_why


def test_a_pause_past_the_last_reminder_leaves_the_letter_after_the_cutoff(campaign: Campaign) -> None:
    campaign.grant(schema.pause, "7", "2024-02-03")
    assert campaign.explained("7").next == Next("T+0", date(2024, 2, 4))


@pytest.mark.parametrize(("asked", "why"), [("dan", "standing migrated are not reminded"), ("7", "No stage of the schedule is left")])
def test_where_nothing_comes_it_is_told_why(asked: str, why: str, campaign: Campaign) -> None:
    if asked == "7":
        campaign.run("2024-02-20 14:00")
    found = campaign.explained(asked, "2024-02-21 14:00")
    assert found.next is None
    assert why in found.next_why


def test_nothing_comes_for_an_account_that_is_gone(campaign: Campaign) -> None:
    campaign.leaves("7")
    campaign.run("2024-01-04 14:00")
    found = campaign.explained("ann")
    assert found.next is None
    assert found.next_why == "It is gone from the directory."
    assert found.account["gone_at"] is not None
    assert found.changes[-1].change == "gone"


def test_an_account_without_an_address_is_told_what_is_in_the_way(campaign: Campaign) -> None:
    campaign.person("eve", email="")
    campaign.run("2024-01-04 14:00")
    found = campaign.explained("eve")
    assert found.next == Next("T-30", date(2024, 1, 3))
    assert "could not be mailed: no_address" in found.next_why


def test_a_stage_that_a_reviewer_struck_out_does_not_come(campaign: Campaign) -> None:
    campaign.person("eve")
    campaign.run("2024-01-04 14:00", send=False)
    mine = schema.letter.c.account_id == "eve"
    execute(campaign, sa.update(schema.letter).where(mine).values(state="withdrawn", reason="gone"))
    assert campaign.explained("eve", "2024-01-05 14:00").next == Next("T-30", date(2024, 1, 5))
    execute(campaign, sa.update(schema.letter).where(mine).values(state="withdrawn", reason="reviewer"))
    assert campaign.explained("eve", "2024-01-05 14:00").next == Next("T-14", date(2024, 1, 18))


def test_a_failed_letter_stands_in_the_way_at_its_own_address_alone(campaign: Campaign) -> None:
    execute(campaign, sa.update(schema.letter).where(schema.letter.c.account_id == "7").values(state="failed"))
    assert campaign.explained("7").next == Next("T-30", date(2024, 1, 3))
    execute(campaign, sa.update(schema.letter).where(schema.letter.c.account_id == "7").values(address="Ann@New.example"))
    assert campaign.explained("7").next == Next("T-14", date(2024, 1, 18))


def test_what_comes_next_is_what_the_runs_then_do(tmp_path: Path) -> None:
    made = Campaign(tmp_path)
    made.edit("[ledger]", "[schedule]\ndays_before = [9, 7, 4, 3, 1]\nmin_gap_days = 2\ndays_after = [0, 3]\n\n[ledger]")
    made.person("ann")
    made.run("2024-01-20 14:00")
    day, told, expected = date(2024, 1, 20), len(made.explained("ann").notices), made.explained("ann", "2024-01-20 14:00").next
    while expected is not None:
        day += timedelta(days=1)
        made.run(f"{day} 14:00")
        letters = made.explained("ann").notices
        assert (len(letters) > told) == (day == expected.on)
        if len(letters) > told:
            assert letters[-1].occasion == expected.stage
            told, expected = len(letters), made.explained("ann", f"{day} 14:00").next
    assert [each.occasion for each in made.explained("ann").notices] == ["opens", "T-9", "T-7", "T-4", "T-3", "T+0", "T+3"]


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_database_server_tells_the_same(tmp_path: Path, request: pytest.FixtureRequest, server: str) -> None:
    made = Campaign(tmp_path)
    made.edit("sqlite:///migrate.db", request.getfixturevalue(f"{server}_url"))
    made.person("7", "sms", username="ann", email="ann@old.example", notification_emails="Home@Ann.example")
    made.run("2024-01-02 14:00")
    made.person("7", "totp", email="ann@new.example")
    made.run("2024-01-03 14:00")
    reference = made.explained("ANN").notices[0].reference
    for asked in (reference.lower(), "ann@old.example", "home@ann.example"):
        found = made.explained(asked)
        assert found.account["email"] == "ann@new.example"
        assert [each.change for each in found.changes] == ["authenticator_enabled"]
        assert [each.state for each in found.notices] == ["sent"] * 4
    glance = made.status()
    assert glance.accounts is not None
    assert (glance.accounts.compliant, glance.outbox["sent"], glance.open_changes) == (1, 4, 0)
    with Ledger.open_readonly(made.config.ledger) as ledger, ledger.read() as connection:
        run = runs.last(connection, 1)
        assert run is not None
        assert Summary.recalled(connection, run).facts()["letters"] == {"sent": 3, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
