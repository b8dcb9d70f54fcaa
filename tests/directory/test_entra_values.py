"""What Entra ID says of an account, in our columns: methods, defaults, guests, policy, groups, last use."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from directory.entra_tenants import APP, SMS, accounts, directory, person, tenant
from graph.clock import VirtualClock
from graph.description import _WHOLE
from graph.server import Fake
from graph.tenant import GLOBAL_ADMINISTRATOR, Tenant, guid

from migrate.directory.method_words import MethodWords, vendor_words
from migrate.directory.testing import read_all

KNOWN = MethodWords(vendor_words("entra"), {})
NO_METHOD = {"temporaryAccessPass", "securityQuestion", "appPassword", "password", "qrCode"}


DETAILS = "microsoft.graph.userRegistrationDetails"


def described(schema: str, name: str, *lists: str) -> list[str]:
    told = _WHOLE["graph"]["components"]["schemas"][schema]["properties"][name]
    return [word for each in lists for word in told.get(each, ()) if word not in (None, "", "none", "unknownFutureValue")]


@pytest.mark.parametrize("word", described(DETAILS, "methodsRegistered", "x-documented-values", "x-seen-values"))
def test_every_word_of_the_report_is_known(word: str) -> None:
    ours = KNOWN.method(word)
    assert ours is not None
    assert (ours == "none") == (word in NO_METHOD)


@pytest.mark.parametrize(
    "word",
    [
        *described(DETAILS, "systemPreferredAuthenticationMethods", "x-documented-values", "x-seen-values", "x-expected-values"),
        *described(DETAILS, "userPreferredMethodForSecondaryAuthentication", "enum"),
        *described(DETAILS, "defaultMfaMethod", "enum"),
        *described("microsoft.graph.authenticationDetail", "authenticationMethod", "x-documented-values", "x-seen-values"),
    ],
)  # fmt: skip
def test_every_word_for_a_default_and_for_a_step_of_a_sign_in_is_known(word: str) -> None:
    assert KNOWN.method(word) is not None


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (("mobilePhone",), {"phone"}),
        (("alternateMobilePhone", "officePhone"), {"voice"}),
        (("smsSignIn",), {"sms"}),
        (("microsoftAuthenticatorPush", "softwareOneTimePasscode"), {"push", "totp"}),
        (("passKeySynced", "windowsHelloForBusiness", "macOsSecureEnclaveKey"), {"passkey"}),
        (("externalAuthMethod",), {"external"}),
        (("email", "qrCode", "temporaryAccessPass"), {"email_otp"}),
        (("somethingNew",), {"other"}),
        ((), set()),
    ],
)
def test_the_methods_of_the_report_are_ours(words: tuple[str, ...], ours: set[str], clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, *words)), clock=clock.now) as fake:
        _, tally = read_all(directory(fake, tmp_path))
        assert set(accounts(fake, tmp_path)["methods"].iloc[0]) == ours
    assert dict(tally.unknown_words) == ({"somethingNew": 1} if "other" in ours else {})


@pytest.mark.parametrize(
    ("system_on", "system", "preferred", "default"),
    [
        (False, ["OneWaySms"], "push", "push"),
        (True, ["OneWaySms"], "push", "sms"),
        (True, ["PhoneAppNotification"], "sms", "push"),
        (True, ["TwoWayVoiceOffice"], "sms", "voice"),
        (True, ["Fido2", "OneWaySms"], "sms", "passkey"),
        (True, ["BrandNew", "OneWaySms"], "sms", None),
        (True, ["Password", "OneWaySms"], "push", "sms"),
        (True, [], "sms", None),
        (False, [], "voiceAlternateMobile", "voice"),
        (False, [], "none", None),
        (False, [], "", None),
    ],
)
def test_what_is_asked_for_first(
    system_on: bool, system: list[str], preferred: str, default: str | None, clock: VirtualClock, tmp_path: Path
) -> None:
    with Fake(tenant(person(1, *SMS, system_on=system_on, system_preferred=system, default=preferred)), clock=clock.now) as fake:
        found = accounts(fake, tmp_path)["default_method"].iloc[0]
    assert (None if pd.isna(found) else found) == default


def test_users_say_who_exists_and_the_report_is_behind_them(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(person(1, *SMS), person(2, *APP, enabled=False))
    held.add(person(3, *APP, created=held.now - timedelta(hours=2)))
    gone = held.add(person(4, *SMS))
    held.people[guid(1)].methods.append("passKeySynced")
    held.registers(held.people[guid(1)], "passKeySynced")
    with Fake(held, clock=clock.now) as fake:
        users = held.users
        held.users = lambda: [each for each in users() if each is not gone]  # type: ignore[method-assign]
        read = directory(fake, tmp_path)
        read_all(read)
        found = accounts(fake, tmp_path)["methods"].to_dict()
        assert found == {"user1@contoso.com": ("phone",), "user2@contoso.com": ("unknown",), "user3@contoso.com": ("unknown",)}
        said = "\n".join(read.caveats())
        assert "1 account of the report is not among the users, and was left out" in said
        assert "1 account that can sign in is not in the report of registered methods yet" in said
        assert "may be up to 36 hours behind what people have done; the oldest of its rows is of 2026-11-26 18:00 UTC" in said
        held.advance(hours=36)
        assert accounts(fake, tmp_path)["methods"]["user1@contoso.com"] == ("phone", "passkey")


def test_an_invited_guest_is_a_guest_and_one_of_the_tenants_own_is_not(clock: VirtualClock, tmp_path: Path) -> None:
    external = person(
        1, *SMS, upn="ann_home.example#EXT#@contoso.onmicrosoft.com", mail="ann@home.example", user_type="Guest", external="Accepted"
    )
    invited = person(2, *SMS, user_type="Guest", external="PendingAcceptance")
    member = person(3, *SMS, user_type="Member", external="Accepted")
    internal = person(4, *SMS, user_type="Guest")
    with Fake(tenant(external, invited, member, internal, person(5)), clock=clock.now) as fake:
        found = accounts(fake, tmp_path)
    assert found["account_type"].tolist() == ["guest", "guest", "guest", "person", "person"]
    assert found["groups"].tolist() == ["", "", "", "entra:internal guest", ""]
    assert found["email"].iloc[0] == "ann@home.example"


def test_letters_never_go_to_a_sign_in_name_nor_to_private_addresses(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, mail=None, other_mails=["private@home.example"])), clock=clock.now) as fake:
        assert pd.isna(accounts(fake, tmp_path)["email"].iloc[0])
        named = accounts(fake, tmp_path, columns={"notification_emails": "otherMails", "department": "companyName"})
        assert named["notification_emails"].iloc[0] == "private@home.example"


def test_people_of_federated_domains_sign_in_elsewhere_unless_they_are_guests(clock: VirtualClock, tmp_path: Path) -> None:
    people = [
        person(1, *SMS, upn="a@SSO.contoso.com"),
        person(2, *SMS, upn="b@sso.contoso.com", user_type="Guest", external="Accepted"),
        person(3),
    ]
    with Fake(tenant(*people), clock=clock.now) as fake:
        read = directory(fake, tmp_path)
        rows, _ = read_all(read)
    assert rows["federated"].tolist() == [True, False, False]
    assert any("1 account of federated domains has a telephone registered with Entra ID" in each for each in read.caveats())


def test_the_language_is_the_preferred_one_or_that_of_the_country(clock: VirtualClock, tmp_path: Path) -> None:
    given = [("de-CH", "CH"), (None, "AT"), (None, "CH"), (None, None), (None, "US")]
    people = [person(number, language=language, usage_location=country) for number, (language, country) in enumerate(given, 1)]
    with Fake(tenant(*people), clock=clock.now) as fake:
        assert accounts(fake, tmp_path)["locale"].tolist() == ["de-CH", "de-AT", "en", "en", "en-US"]


def policed() -> Tenant:
    held = tenant(*(person(number, *SMS) for number in range(1, 6)))
    one, two, three, four, _ = held.people.values()
    inner = held.group("Inner", two)
    texts = held.group("May use texts", one, groups=(inner,))
    held.allow("Sms", include=(texts, four), exclude=(inner,))
    held.allow("Voice", on=False)
    held.allow("Fido2", exclude=(texts,))
    held.allow("MicrosoftAuthenticator", include=(inner, three), isSoftwareOathEnabled=True)
    held.allow("SoftwareOath", on=False)
    return held


def test_policy_and_nested_groups_say_who_may_use_and_register_what(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(policed(), clock=clock.now) as fake:
        found = accounts(fake, tmp_path)
    assert found["in_policy"].tolist() == [True, False, False, True, False]
    assert found["may_enrol"].tolist() == ["sms", "totp,push", "totp,push,passkey", "sms,passkey", "passkey"]


def test_who_may_register_nothing_is_known_to_have_no_destination(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(person(1, *SMS))
    for name in held.configurations:
        held.allow(name, on=False)
    with Fake(held, clock=clock.now) as fake:
        assert accounts(fake, tmp_path)["may_enrol"].tolist() == [""]
        held.allow("Fido2", isSelfServiceRegistrationAllowed=False)
        assert accounts(fake, tmp_path)["may_enrol"].tolist() == [""]


@pytest.mark.parametrize("migration", ["preMigration", "migrationInProgress", None, "unknownFutureValue"])
def test_before_its_migration_is_complete_a_policy_is_a_lower_bound(migration: str | None, clock: VirtualClock, tmp_path: Path) -> None:
    held = policed()
    held.migration = migration
    held.people[guid(2)].per_user_mfa = "enforced"
    with Fake(held, clock=clock.now) as fake:
        read = directory(fake, tmp_path)
        rows, _ = read_all(read)
        assert [None if pd.isna(each) else bool(each) for each in rows["in_policy"]] == [True, None, None, True, None]
        assert any("a lower bound" in each for each in read.caveats())
        detailed = accounts(fake, tmp_path, detail=["per_user_mfa"])
    assert detailed["in_policy"].tolist() == [True, True, False, True, False]
    assert rows["may_enrol"].isna().tolist() == [True, False, False, False, False]


def test_caveats_tell_of_the_opt_out_and_of_passkeys_that_telephones_cannot_make(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(person(1, *SMS))
    held.opted_out = True
    held.allow("Fido2", passkeyProfiles=[{"id": guid(1), "attestationEnforcement": "registrationOnly"}])
    with Fake(held, clock=clock.now) as fake:
        read = directory(fake, tmp_path)
        read_all(read)
    said = "\n".join(read.caveats())
    assert "people have seen no prompt" in said and "passkeys are for listed or attested models alone" in said


def test_groups_and_roles_are_known_and_whoever_holds_a_role_is_an_administrator(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(*(person(number) for number in range(1, 5)))
    one, two, three, _ = held.people.values()
    owners = held.group("Owners", two)
    staff = held.group("All staff", one, groups=(owners,))
    held.holders[GLOBAL_ADMINISTRATOR] = {one.id, owners.id, guid(77, "e0000000")}
    held.holders["fe930be7-5e62-47db-91af-98c3a49a38b1"] = {three.id}
    with Fake(held, clock=clock.now) as fake:
        found = accounts(fake, tmp_path, groups=["All staff", staff.id], roles=["global administrator"])
    assert found["groups"].tolist() == [
        f"All staff\n{staff.id}\nrole:global administrator", f"All staff\n{staff.id}\nrole:global administrator", "", ""
    ]  # fmt: skip
    assert found["privileged"].tolist() == [True, True, True, False]


def test_telephones_of_single_accounts_replace_those_of_the_report(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(person(1, "mobilePhone"), person(2, "mobilePhone", *APP), person(3, "mobilePhone", sms_sign_in=True), person(4, *APP))
    held.removes(held.people[guid(2)], "mobilePhone")
    held.registers(held.people[guid(1)], "officePhone")
    with Fake(held, clock=clock.now) as fake:
        found = accounts(fake, tmp_path, detail=["phones"])
    assert found["methods"].tolist() == [("voice", "phone"), ("totp", "push"), ("sms", "phone"), ("totp", "push")]
    assert found["groups"].tolist() == ["", "", "entra:SMS sign-in", ""]
    assert sum("batch" in call for call in fake.calls) == 1


def test_sign_ins_say_what_was_used_last_and_what_was_only_remembered_is_no_use(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(*(person(number, *SMS, *APP) for number in range(1, 5)))
    now = datetime.now(UTC).replace(microsecond=0)
    one, two, three, _ = held.people.values()
    one.signed_in = [(now - timedelta(days=3), "Text message"), (now - timedelta(days=1), "Mobile app notification")]
    two.signed_in = [
        (now - timedelta(days=2), "Phone call approval (Authentication phone)"),
        (now - timedelta(days=1), "Previously satisfied"),
    ]
    three.signed_in = [(now - timedelta(days=20), "Text message")]
    with Fake(held, clock=clock.now) as fake:
        found = accounts(fake, tmp_path, detail=["sign_ins"])
        assert [None if pd.isna(each) else each for each in found["last_used_method"]] == ["push", "voice", None, None]
        assert found["last_used_at"].iloc[1] == pd.Timestamp(two.signed_in[0][0]) + pd.Timedelta(seconds=12)
        assert found["last_sign_in_at"].iloc[2] == pd.Timestamp(three.signed_in[0][0])
        assert accounts(fake, tmp_path, detail=["sign_ins"], sign_in_days=30)["last_used_method"].iloc[2] == "sms"


def test_a_passkey_of_one_device_is_told_apart(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, "windowsHelloForBusiness", *SMS), person(2, "windowsHelloForBusiness", *APP)), clock=clock.now) as fake:
        assert accounts(fake, tmp_path)["groups"].tolist() == ["entra:this device only", ""]


def test_no_telephone_number_and_no_detail_of_a_sign_in_leaves_the_room_where_it_is_read(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(*(person(number, *SMS, sms_sign_in=number % 2 == 0) for number in range(1, 60)))
    for each in held.people.values():
        each.signed_in = [(held.now, "Text message")]
    with Fake(held, clock=clock.now) as fake:
        fake.fail("inner /users", "429", times=500, after=30, retry_after=None)
        read = directory(fake, tmp_path, detail=["phones", "per_user_mfa", "sign_ins"], sign_in_days=30)
        with pytest.raises(Exception, match="tried 10 times") as broken:
            read_all(read)
        kept = (tmp_path / "entra.checkpoint-contoso.onmicrosoft.com").read_text()
        fake._faults.clear()
        rows, _ = read_all(read)
    assert fake.numbers_shown >= 59
    assert kept.count("\n") >= 20
    for text in (kept, rows.to_csv(), str(broken.value), json.dumps(read.caveats())):
        assert "303" not in text and "XXXXXXXX" not in text and "Password in the cloud" not in text
    assert rows["phone"].isna().all()
