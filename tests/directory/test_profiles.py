"""Known exports: each is recognised by its header, and read as what it says and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory, table_model
from migrate.directory.profiles import PROFILES, profile, recognised
from migrate.directory.profiles.interface import told_apart_by
from migrate.directory.testing import assert_contract, assert_unreadable
from migrate.directory.vocabulary import VENDORS

STAFF = "login,mail\nann,ann@x.example\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(text: str, name: str, **more: Any) -> Directory:
    Path("export.csv").write_text(text, encoding="utf-8")
    table = {"kind": "csv", "path": "export.csv", "profile": name} | more
    return open_directory(table_model(table).model_validate(table))


def read(text: str, name: str, **more: Any) -> pd.DataFrame:
    assert recognised(text.splitlines()[0].split(",")) is profile(name)
    return assert_contract(lambda: opened(text, name, **more)).set_index("account_id")


def methods(found: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {str(each): words_of(bits) for each, bits in found["methods"].items()}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_called_what_its_line_says_and_says_what_it_cannot_tell(name: str) -> None:
    known = profile(name)
    assert known.name == name
    assert known.tells
    assert known.cannot
    assert all(sentence.endswith(".") for sentence in (*known.tells, *known.cannot))
    assert not any(sentence.endswith(".") for sentence in known.caveats)
    assert known.vendor is None or known.vendor in VENDORS


def test_an_unknown_profile_is_a_mistake_that_names_the_near_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'entra-users'"):
        opened("", "entra-user")


def test_entra_by_graph_takes_the_default_from_whoever_decides_it() -> None:
    found = read(
        "id,userPrincipalName,mail,userType,isAdmin,methodsRegistered,isSystemPreferredAuthenticationMethodEnabled,"
        "systemPreferredAuthenticationMethods,userPreferredMethodForSecondaryAuthentication,lastUpdatedDateTime\n"
        "1,a@x.example,a@x.example,member,True,mobilePhone;softwareOneTimePasscode,True,PhoneAppOTP,sms,2024-01-01\n"
        '2,b@x.example,b@x.example,guest,False,"[""mobilePhone"",""microsoftAuthenticatorPush""]",False,PhoneAppOTP,sms,2024-01-01\n'
        "3,c@x.example,c@x.example,member,,fido2SecurityKey,True,SomethingNew,sms,2024-01-01\n"
        "4,d@x.example,d@x.example,member,,temporaryAccessPass;qrCode,,,none,2024-01-01\n",
        "entra-registration",
    )
    assert methods(found) == {"1": ("phone", "totp"), "2": ("phone", "push"), "3": ("passkey",), "4": ()}
    assert found["default_method"].fillna("").tolist() == ["totp", "sms", "", ""]
    assert found["account_type"].tolist() == ["person", "guest", "person", "person"]
    assert found["privileged"].tolist() == [True, False, False, False]
    assert found["methods_changed_at"].isna().all()


def test_entra_by_the_portal_has_only_names_and_says_so() -> None:
    text = (
        "User principal name,Name,MFA Capable,Methods registered,Last Updated Time\n"
        'ann@x.example,Ann,Capable,"Mobile phone, Microsoft Passwordless phone sign-in",1/1/2024\n'
    )
    found = read(text, "entra-registration")
    assert methods(found) == {"ann@x.example": ("phone", "push")}
    assert found["email"].tolist() == ["ann@x.example"]
    directory = opened(text, "entra-registration")
    list(directory.frames())
    assert directory.caveats() == (
        "the report of Entra ID may be up to 36 hours older than the file",
        f"the file export.csv: {told_apart_by('user principal name')}",
        "the file export.csv: letters go to the user principal name, which need not be a mailbox",
    )


def test_entra_users_need_a_join_and_keep_their_own_addresses() -> None:
    users = "userPrincipalName,displayName,mail,objectId,userType,accountEnabled,department\nann@x.example,Ann,,7,Guest,False,Sales\n"
    error = assert_unreadable(lambda: opened(users, "entra-users"))
    assert "join entra-registration" in str(error)
    Path("registration.csv").write_text("User principal name,Methods registered\nANN@x.example,Email\n", encoding="utf-8")
    join = {"kind": "csv", "path": "registration.csv", "profile": "entra-registration", "on": "username"}
    found = read(users, "entra-users", join=[join])
    assert methods(found) == {"7": ("email_otp",)}
    assert found["email"].isna().all()  # the name in the report is no address where the users have a column of addresses
    assert found["enabled"].tolist() == [False]
    assert found["account_type"].tolist() == ["guest"]


def test_okta_counts_active_factors_and_no_password() -> None:
    found = read(
        "User,Login,MFA Factor,Factor status,Last Enrolled_ISO8601,Last Used_ISO8601\n"
        "Ann,ann@x.example,SMS Authentication,ACTIVE,2023-02-01T09:10:00Z,2023-03-01T00:00:00Z\n"
        "Ann,ann@x.example,Password,ACTIVE,2023-12-01T09:10:00Z,2023-12-01T00:00:00Z\n"
        "Ann,ann@x.example,FIDO2 (WebAuthn),PENDING_ACTIVATION,2023-04-01T09:10:00Z,\n",
        "okta-mfa-usage",
    )
    assert methods(found) == {"ann@x.example": ("sms",)}
    assert found["last_used_method"].tolist() == ["sms"]
    assert found["methods_changed_at"].tolist() == [pd.Timestamp("2023-02-01T09:10:00Z")]


def test_google_tells_that_a_second_step_is_on_and_not_which() -> None:
    text = (
        "First Name [Required],Last Name [Required],Email Address [Required],Status [READ ONLY],Last Sign In [READ ONLY],Manager Email,"
        "Department,2sv Enrolled [READ ONLY],2sv Enforced [READ ONLY]\n"
        "Ada,L,a@x.example,Active,2026/05/04 07:12:44,m@x.example,Research,True,False\n"
        "Bob,B,b@x.example,Suspended,Never logged in,,,False,False\n"
    )
    found = read(text, "google-users")
    assert methods(found) == {"a@x.example": ("unknown",), "b@x.example": ()}
    assert found["display_name"].tolist() == ["Ada L", "Bob B"]
    assert found["enabled"].tolist() == [True, False]
    assert found["last_sign_in_at"].notna().tolist() == [True, False]
    directory = opened(text, "google-users")
    list(directory.frames())
    assert "text messages cannot be told" in directory.caveats()[0]


def test_gam_reads_suspended_archived_guests_and_administrators() -> None:
    found = read(
        "primaryEmail,id,name.givenName,name.familyName,suspended,archived,isAdmin,isDelegatedAdmin,isGuestUser,isEnrolledIn2Sv\n"
        "a@x.example,1,Ada,L,False,False,False,True,False,True\nb@x.example,2,Bob,B,False,True,False,False,True,False\n",
        "gam-users",
    )
    assert methods(found) == {"1": ("unknown",), "2": ()}
    assert found["enabled"].tolist() == [True, False]
    assert found["privileged"].tolist() == [True, False]
    assert found["account_type"].tolist() == ["person", "guest"]


def test_duo_telephones_are_unknown_tokens_are_tokens_and_bypass_is_no_second_step() -> None:
    found = read(
        "username,realname,email,status,phone1,token1\na,Ada,a@x.example,active,+12025550142,\nb,Bob,b@x.example,active,,123\n"
        "c,Cid,c@x.example,bypass,+12025550143,\nd,Dan,d@x.example,disabled,,\n",
        "duo-users",
    )
    assert methods(found) == {"a": ("unknown",), "b": ("hardware_otp",), "c": (), "d": ()}
    assert found["enabled"].tolist() == [True, True, True, False]


def test_aws_has_no_addresses_so_a_list_of_people_is_joined() -> None:
    text = (
        "user,arn,password_enabled,password_last_used,mfa_active\n"
        "<root_account>,arn:aws:iam::0:root,not_supported,2024-01-01T00:00:00+00:00,TRUE\n"
        "ann,arn:aws:iam::0:user/ann,TRUE,no_information,TRUE\nrobot,arn:aws:iam::0:user/robot,FALSE,N/A,FALSE\n"
    )
    assert "a list of people" in str(assert_unreadable(lambda: opened(text, "aws-credential-report")))
    Path("staff.csv").write_text(STAFF, encoding="utf-8")
    join = {"kind": "csv", "path": "staff.csv", "on": "username", "columns": {"username": "login", "email": "mail"}}
    found = read(text, "aws-credential-report", join=[join]).sort_values("position")
    assert found["account_type"].tolist() == ["break_glass", "person", "person"]
    assert found["enabled"].tolist() == [True, True, False]
    assert found["email"].fillna("").tolist() == ["", "ann@x.example", ""]
    assert list(methods(found).values()) == [("unknown",), ("unknown",), ()]


def test_privacyidea_counts_tokens_that_sign_somebody_in_and_leaves_out_those_of_nobody() -> None:
    text = (
        "serial,tokentype,active,revoked,locked,rollout_state,username,user_id,email\n"
        "A1,sms,True,False,False,,ann,1,ann@x.example\nA2,totp,False,False,False,,ann,1,ann@x.example\n"
        "A3,webauthn,True,False,False,clientwait,bob,2,bob@x.example\nA4,hotp,True,False,False,enrolled,bob,2,bob@x.example\n"
        "A5,push,True,False,False,,,,\nA6,radius,True,True,False,,cid,3,\n"
    )
    found = read(text, "privacyidea-tokens")
    assert methods(found) == {"1": ("sms",), "2": ("totp",), "3": ()}
    directory = opened(text, "privacyidea-tokens")
    list(directory.frames())
    assert directory.caveats() == ("1 row of the file export.csv without an owner left out",)


def test_keycloak_reads_apps_attributes_and_credential_types() -> None:
    found = read(
        "id,username,email,firstName,lastName,enabled,totp,attributes.mobile_number,credentials\n"
        "1,ann,a@x.example,Ann,A,true,true,,\n2,bob,b@x.example,Bob,B,false,false,+12025550142,\n"
        '3,service-account-x,,,,true,false,,"{password,webauthn-passwordless,mobile-number}"\n',
        "keycloak-users",
    )
    assert methods(found) == {"1": ("totp",), "2": ("sms",), "3": ("sms", "passkey")}
    assert found["enabled"].tolist() == [True, False, True]
    assert found["account_type"].tolist() == ["person", "person", "service"]


def test_whatever_is_set_beside_a_profile_wins() -> None:
    text = "primaryEmail,id,suspended,isEnrolledIn2Sv,second,state\na@x.example,1,True,True,sms,open\n"
    columns = {"methods": "second", "enabled": {"column": "state", "yes": ["open"]}}
    found = read(text, "gam-users", columns=columns, methods={"sms": "voice"})
    assert methods(found) == {"1": ("voice",)}
    assert found["enabled"].tolist() == [True]
    twice = read("User,Login,MFA Factor\nAnn,ann,sms\nAnn,ann,totp\n", "okta-mfa-usage", rows="accounts")
    assert len(twice) == 2
