from __future__ import annotations

import sqlite3
import stat
from collections import Counter
from contextlib import closing
from dataclasses import astuple, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from demo.worlds import Lived, live

from migrate.demo.calendar import MAIL_DAYS, cron
from migrate.demo.config import CAMPAIGN, DAYS
from migrate.demo.moves import PHRASES, What
from migrate.demo.people import MODERN, TELEPHONE, User
from migrate.demo.world import World

CUTOFF = CAMPAIGN.cutoff_date


def of(lived: Lived, what: What) -> list[tuple[date, str]]:
    return [(happening.day, happening.account_id) for happening in lived.happenings if happening.what == what]


def the_morning_before(lived: Lived, day: date) -> dict[str, User]:
    return lived.mornings.get(day - timedelta(days=1), lived.eve)


def test_two_worlds_of_one_seed_are_equal_row_for_row_and_day_for_day(lived: Lived, tmp_path: Path):
    again = live(tmp_path / "again.db")
    assert (again.eve, again.mornings, again.happened) == (lived.eve, lived.mornings, lived.happened)


def test_another_seed_is_another_world(lived: Lived, tmp_path: Path):
    assert live(tmp_path / "other.db", seed="other").happened != lived.happened


def test_the_directory_has_the_columns_of_a_user_and_only_its_owner_may_read_it(lived: Lived):
    with closing(sqlite3.connect(lived.path)) as database:
        columns = [name for _, name, *_ in database.execute("pragma table_info(users)")]
    assert columns == [field.name for field in fields(User)]
    assert stat.S_IMODE(lived.path.stat().st_mode) == 0o600


def test_a_world_is_never_built_over_another(lived: Lived):
    with pytest.raises(FileExistsError):
        World(lived.path)


def test_a_day_is_lived_once_and_in_its_turn(tmp_path: Path):
    world = World(tmp_path / "directory.db")
    with pytest.raises(ValueError, match="the day to live is 2023-12-18, not 2023-12-19"):
        world.live(DAYS[1])
    world.live(DAYS[0])
    with pytest.raises(ValueError, match="the day to live is 2023-12-19, not 2023-12-18"):
        world.live(DAYS[0])


def test_everything_that_can_happen_happens(lived: Lived):
    assert {happening.what for happening in lived.happenings} == set(PHRASES)


def test_the_journal_tells_exactly_whose_second_step_or_row_changed(lived: Lived):
    def row(user: User | None) -> tuple[object, ...]:
        return astuple(user)[:-3] + astuple(user)[-1:] if user else ()

    for day in DAYS:
        before, after = the_morning_before(lived, day), lived.mornings[day]
        heads = {before[h.account_id].mail for h in lived.happened[day] if h.what == "moved_domain"}
        told = {happening.account_id for happening in lived.happened[day]}
        changed = {key for key in before.keys() | after.keys() if row(before.get(key)) != row(after.get(key))}
        under_a_moved_head = {key for key in changed if key in before and before[key].manager in heads}
        assert changed - told <= under_a_moved_head, day
        unseen = {h.account_id for h in lived.happened[day] if h.what == "replaced_phone"}
        assert told - changed <= unseen, day
        assert all(before[key].mfa_changed_at != after[key].mfa_changed_at for key in unseen)


def test_no_day_but_the_cutoff_touches_a_fifth_of_the_accounts(lived: Lived):
    for day, happened in lived.happened.items():
        if day != CUTOFF:
            assert len(happened) < 0.2 * len(lived.mornings[day]), day


def test_no_two_accounts_ever_share_a_login_or_an_address(lived: Lived):
    for rows in lived.mornings.values():
        for values in ([user.login for user in rows.values()], [user.mail for user in rows.values() if user.mail]):
            assert len(values) == len(set(values))


def test_an_address_is_never_given_to_a_second_person(lived: Lived):
    owners: dict[str, set[str]] = {}
    for rows in lived.mornings.values():
        for user in rows.values():
            if user.mail:
                owners.setdefault(user.mail, set()).add(user.login)
    assert max(map(len, owners.values())) == 1


def test_every_manager_is_somebody_on_every_day(lived: Lived):
    for rows in lived.mornings.values():
        assert {user.manager for user in rows.values()} - {None} <= {user.mail for user in rows.values()}


def test_nothing_in_the_directory_is_dated_after_the_run_that_reads_it(lived: Lived):
    for day, rows in lived.mornings.items():
        six = datetime.combine(day, datetime.min.time().replace(hour=6), tzinfo=CAMPAIGN.zone).astimezone(UTC)
        instants = [at for user in rows.values() for at in (user.mfa_changed_at, user.last_login) if at and at > "1"]
        assert max(map(datetime.fromisoformat, instants)) < six


def test_people_switch_most_just_after_a_mail(lived: Lived):
    # what people do on the day of a mail, at any time of it, is seen the next morning
    day_after_mail = {mailed + timedelta(days=1) for mailed in MAIL_DAYS if mailed < CUTOFF - timedelta(days=1)}
    switched = Counter(day for day, _ in of(lived, "switched"))
    ordinary = [day for day in DAYS if day < CUTOFF and day not in day_after_mail]
    assert sum(switched[day] for day in day_after_mail) / len(day_after_mail) > 2 * sum(switched[day] for day in ordinary) / len(ordinary)


def test_half_of_those_on_sms_have_switched_by_the_cutoff_and_some_set_up_an_app_after_it(lived: Lived):
    def on_sms(rows: dict[str, User]) -> int:
        return sum(user.active and not user.sso and bool(user.methods & TELEPHONE) and not user.methods & MODERN for user in rows.values())

    assert 0.3 < on_sms(lived.mornings[CUTOFF - timedelta(days=1)]) / on_sms(lived.eve) < 0.7
    assert sum(day > CUTOFF for day, _ in of(lived, "set_up")) > 30


def test_at_the_cutoff_every_telephone_disappears_and_none_comes_back(lived: Lived):
    before = lived.mornings[CUTOFF - timedelta(days=1)]
    assert sum(bool(user.methods & TELEPHONE) for user in before.values()) > 300
    for day in DAYS:
        if day >= CUTOFF:
            assert not any(user.methods & TELEPHONE or user.mfa_default in TELEPHONE for user in lived.mornings[day].values())


def test_the_cutoff_leaves_every_other_method_and_a_default_among_them(lived: Lived):
    before, after = lived.mornings[CUTOFF - timedelta(days=1)], lived.mornings[CUTOFF]
    acted = [account_id for day, account_id in ((h.day, h.account_id) for h in lived.happenings if h.what != "cut_off") if day == CUTOFF]
    cut = [account_id for _, account_id in of(lived, "cut_off") if account_id not in acted]
    for account_id in cut:
        assert after[account_id].methods == before[account_id].methods - TELEPHONE
        assert after[account_id].mfa_changed_at == "2024-02-01T08:00:00Z"
        assert bool(after[account_id].mfa_default) == bool(after[account_id].methods & MODERN) or not before[account_id].mfa_default
    assert {bool(after[account_id].methods) for account_id in cut} == {True, False}


def test_an_id_is_freed_read_as_gone_and_given_to_another_person(lived: Lived):
    [(reused_on, account_id)] = of(lived, "id_reused")
    left_on = next(day for day, left in of(lived, "left") if left == account_id)
    assert any(cron(day) and account_id not in lived.mornings[day] for day in DAYS if left_on <= day < reused_on)
    first, second = the_morning_before(lived, left_on)[account_id], lived.mornings[reused_on][account_id]
    assert first.methods <= TELEPHONE
    assert (first.login, first.mail) != (second.login, second.mail)
    assert first.login not in {user.login for user in lived.mornings[reused_on].values()}


def test_some_vanish_for_one_run_and_come_back_unchanged(lived: Lived):
    gone, back = of(lived, "vanished"), of(lived, "came_back")
    assert [account_id for _, account_id in gone] == [account_id for _, account_id in back]
    [gone_on], [back_on] = {day for day, _ in gone}, {day for day, _ in back}
    assert back_on == gone_on + timedelta(days=1)
    assert all(cron(day) for day in (gone_on - timedelta(days=1), gone_on, back_on))
    for _, account_id in gone:
        before, after = the_morning_before(lived, gone_on)[account_id], lived.mornings[back_on][account_id]
        assert account_id not in lived.mornings[gone_on]
        assert (before.login, before.mail, before.mfa_methods) == (after.login, after.mail, after.mfa_methods)


def test_whoever_goes_back_to_sms_is_on_sms_the_next_morning(lived: Lived):
    returned = [(day, account_id) for day, account_id in of(lived, "back_to_sms") if day < CUTOFF]
    assert returned
    for day, account_id in returned:
        assert not the_morning_before(lived, day)[account_id].methods & TELEPHONE
        assert lived.mornings[day][account_id].mfa_default == "SMS"


def test_a_new_phone_moves_the_instant_and_nothing_else_about_the_methods(lived: Lived):
    for day, account_id in of(lived, "replaced_phone"):
        before, after = the_morning_before(lived, day)[account_id], lived.mornings[day][account_id]
        assert before.mfa_methods == after.mfa_methods
        assert (before.mfa_changed_at or "") < (after.mfa_changed_at or "")


def test_the_bought_company_ends_up_on_the_new_domain_and_its_people_keep_their_ids(lived: Lived):
    moved = of(lived, "moved_domain")
    assert len({day for day, _ in moved}) == 2
    for day, account_id in moved:
        assert the_morning_before(lived, day)[account_id].mail.endswith("@example.org")
        assert lived.mornings[day][account_id].mail.endswith("@example.com")
    assert not [user for user in lived.mornings[DAYS[-1]].values() if user.dept == "Harbor Labs" and user.mail.endswith("@example.org")]


def test_whoever_joins_after_the_cutoff_registers_no_telephone_and_some_did_before(lived: Lived):
    joined = [(day, lived.mornings[day][account_id]) for day, account_id in of(lived, "joined")]
    assert any(user.methods & TELEPHONE for day, user in joined if day < CUTOFF)
    assert [user for day, user in joined if day > CUTOFF]


def test_five_accounts_keep_the_word_nobody_knows_to_the_end(lived: Lived):
    assert sum(user.mfa_methods == "YubiOTP legacy" for user in lived.mornings[DAYS[-1]].values()) == 5
