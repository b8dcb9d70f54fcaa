"""Signing in to a tenant, and what is said of permissions, consent, licences and prices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from directory.entra_tenants import APP, SMS, accounts, directory, person, tenant
from graph.clock import VirtualClock
from graph.people import believable
from graph.server import DETAILS, READING, Fake
from graph.tenant import guid
from mail.authority import key_and_certificate
from pydantic import ValidationError

from migrate.directory import settings_model
from migrate.directory.entra.outlook import priced
from migrate.directory.testing import assert_unreadable, read_all
from migrate.errors import DirectoryError, NoLicenceError, NotConsentedError, UnreachableError


@pytest.fixture
def fake(clock: VirtualClock) -> Any:
    with Fake(tenant(person(1, *SMS), person(2, *APP)), clock=clock.now) as made:
        yield made
    assert made.violations == []


def refused(fake: Fake, folder: Path, **more: Any) -> DirectoryError:
    return assert_unreadable(lambda: directory(fake, folder, **more))


def test_a_certificate_proves_the_application(fake: Fake, tmp_path: Path) -> None:
    pem = key_and_certificate(rsa_key=True)
    fake.certificate = x509.load_pem_x509_certificate(pem.encode()).public_key()
    assert len(accounts(fake, tmp_path, certificate=pem)) == 2


def test_a_token_file_of_the_platform_proves_the_application(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of-the-platform\n")
    fake.federated = "of-the-platform"
    assert len(accounts(fake, tmp_path, federated_token_file=tmp_path / "token")) == 2


def test_a_managed_identity_needs_no_proof(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    assert len(accounts(fake, tmp_path, managed_identity=True, client_id=None)) == 2


@pytest.mark.parametrize("named", ["contoso.onmicrosoft.com", "contoso.com", guid(1, "f0000000"), guid(1, "f0000000").upper()])
def test_a_tenant_is_named_by_a_domain_or_by_its_id(named: str, fake: Fake, tmp_path: Path) -> None:
    assert len(read_all(directory(fake, tmp_path, tenant=named))[0]) == 2


@pytest.mark.parametrize("named", ["contoso.com", guid(1, "f0000000")])
def test_a_token_of_another_tenant_is_refused(named: str, fake: Fake, tmp_path: Path) -> None:
    fake.wrong_tid = guid(9, "f0000000")
    error = refused(fake, tmp_path, tenant=named)
    assert error.where == "[directory] tenant"
    assert f"the token is of another tenant ({guid(9, 'f0000000')}) than {named}. Nothing was changed." in str(error)
    assert not [call for call in fake.calls if "users" in call]


def test_a_token_of_another_tenant_is_refused_in_mid_read_too(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(believable(1500), clock=clock.now) as fake:
        frames = directory(fake, tmp_path).frames()
        next(frames)
        fake.wrong_tid = guid(9, "f0000000")
        fake.end_tokens()
        with pytest.raises(DirectoryError, match="of another tenant"):
            list(frames)


def test_an_application_that_the_tenant_has_not_let_in_is_told_where_to_consent(fake: Fake, tmp_path: Path) -> None:
    del fake.consented[fake.tenant.id]
    error = refused(fake, tmp_path)
    assert isinstance(error, NotConsentedError)
    assert f"let an administrator consent at {fake.url}/contoso.onmicrosoft.com/adminconsent?client_id={fake.client_id}" in str(error)


def test_a_wrong_secret_is_not_repeated(fake: Fake, tmp_path: Path) -> None:
    error = refused(fake, tmp_path, client_secret="hunter2~wrong")
    assert error.where == "[directory] client_secret"
    assert "AADSTS7000215" in str(error) and "hunter2" not in str(error)


def test_a_sign_in_that_nobody_answers_at_is_unreachable(fake: Fake, tmp_path: Path) -> None:
    error = refused(fake, tmp_path, login_url="http://127.0.0.1:9")
    assert isinstance(error, UnreachableError) and error.where == "[directory] login_url"


@pytest.mark.parametrize("missing", ["User.Read.All", "AuditLog.Read.All", "Domain.Read.All"])
def test_a_permission_that_must_be_is_named_with_what_breaks_and_where_to_grant_it(missing: str, fake: Fake, tmp_path: Path) -> None:
    fake.grant(*(set(READING) - {missing}))
    error = refused(fake, tmp_path)
    assert isinstance(error, NotConsentedError)
    assert f"Add the application permission {missing} of Microsoft Graph, and let an administrator consent at" in str(error)
    [outlook] = directory(fake, tmp_path).outlooks()
    assert [missing in str(each) for each in outlook.wrong] == [True]


def test_what_else_is_missing_is_unknown_and_said(fake: Fake, tmp_path: Path) -> None:
    fake.grant("User.Read.All", "AuditLog.Read.All", "Domain.Read.All")
    read = directory(fake, tmp_path)
    rows, _ = read_all(read)
    assert rows["in_policy"].isna().all() and rows["may_enrol"].isna().all()
    assert any("Policy.Read.AuthenticationMethod or Policy.Read.All" in each for each in read.caveats())
    [outlook] = read.outlooks()
    assert outlook.wrong == ()
    assert [each.partition(",")[0] for each in outlook.warnings] == [
        "the application lacks Policy.Read.AuthenticationMethod or Policy.Read.All",
        "the application lacks GroupMember.Read.All",
    ]


def test_a_policy_for_groups_that_cannot_be_read_is_known_as_far_as_it_can(fake: Fake, tmp_path: Path) -> None:
    group = fake.tenant.group("Texts", fake.tenant.people[guid(1)])
    fake.tenant.allow("Sms", include=(group,))
    fake.tenant.allow("Voice", on=False)
    fake.grant(*(set(READING) - {"GroupMember.Read.All"}))
    read = directory(fake, tmp_path)
    rows, _ = read_all(read)
    assert rows["in_policy"].isna().all()
    assert any("1 group of the policy of authentication methods could not be read" in each for each in read.caveats())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"groups": ["All staff"]}, "GroupMember.Read.All"),
        ({"roles": ["Global Administrator"]}, "RoleManagement.Read.Directory"),
        ({"detail": ["phones"]}, "UserAuthMethod-Phone.Read.All or UserAuthenticationMethod.Read.All"),
        ({"detail": ["per_user_mfa"]}, "Policy.Read.All"),
    ],
)
def test_what_the_settings_ask_for_must_be_granted(more: dict[str, Any], said: str, fake: Fake, tmp_path: Path) -> None:
    fake.grant("User.Read.All", "AuditLog.Read.All", "Domain.Read.All")
    assert said in str(refused(fake, tmp_path, **more))
    [outlook] = directory(fake, tmp_path, **more).outlooks()
    assert [said in str(each) for each in outlook.wrong] == [True]


def test_a_permission_that_may_write_is_not_needed(fake: Fake, tmp_path: Path) -> None:
    fake.grant(*READING, "User.ReadWrite.All", "Mail.Send")
    [outlook] = directory(fake, tmp_path).outlooks()
    assert outlook.warnings == (
        "the application may do more than read (Mail.Send, User.ReadWrite.All), and needs none of it: take it away.",
    )


def test_a_group_or_role_that_there_is_not_is_told(fake: Fake, tmp_path: Path) -> None:
    fake.tenant.group("Twins"), fake.tenant.group("Twins")
    assert "there is no group 'All staf' in the tenant" in str(refused(fake, tmp_path, groups=["All staf"]))
    assert f"Write the id of the one you mean: {guid(1, 'c0000000')}, {guid(2, 'c0000000')}." in str(
        refused(fake, tmp_path, groups=["Twins"])
    )
    assert "did you mean 'Global Administrator'?" in str(refused(fake, tmp_path, roles=["Global Admin"]))


def test_a_tenant_without_p1_is_not_read_as_if_nobody_had_a_method(fake: Fake, tmp_path: Path) -> None:
    fake.tenant.licensed = False
    error = refused(fake, tmp_path)
    assert isinstance(error, NoLicenceError)
    assert "contoso.onmicrosoft.com has no Entra ID P1 or P2" in str(error) and 'detail = ["phones"]' in str(error)
    [outlook] = directory(fake, tmp_path).outlooks()
    assert [type(each) for each in outlook.wrong] == [NoLicenceError]


def test_without_p1_methods_are_asked_for_account_after_account(fake: Fake, tmp_path: Path) -> None:
    fake.tenant.licensed = False
    fake.tenant.add(person(3, "officePhone", "passKeySynced", "externalAuthMethod"))
    fake.tenant.add(person(4, *APP, enabled=False))
    read = directory(fake, tmp_path, detail=["phones", "sign_ins"])
    read_all(read)
    found = accounts(fake, tmp_path, detail=["phones"])
    assert found["methods"].tolist() == [("phone",), ("totp", "push"), ("voice", "passkey", "external"), ("unknown",)]
    assert any("there is no report of registered methods" in each for each in read.caveats())
    assert any("sign_ins could not be read" in each for each in read.caveats())


def test_without_p1_check_asks_for_the_permission_that_the_read_will_need(fake: Fake, tmp_path: Path) -> None:
    """The permission for telephones alone is enough beside the report, and not without it."""
    fake.tenant.licensed = False
    fake.grant("UserAuthMethod-Phone.Read.All", *(set(READING) - {"UserAuthenticationMethod.Read.All"}))
    needed = "UserAuthenticationMethod.Read.All"
    [outlook] = directory(fake, tmp_path, detail=["phones"]).outlooks()
    assert [needed in str(each) for each in outlook.wrong] == [True]
    assert needed in str(refused(fake, tmp_path, detail=["phones"]))


def test_without_p1_the_detail_that_cannot_be_read_is_said_and_not_priced(fake: Fake, tmp_path: Path) -> None:
    fake.tenant.licensed = False
    read = directory(fake, tmp_path, detail=["phones", "per_user_mfa"])
    read_all(read)
    assert any("per_user_mfa was not read" in each for each in read.caveats())
    [outlook] = read.outlooks()
    assert "per-user MFA" not in outlook.said


def test_without_p1_methods_may_come_from_an_export(fake: Fake, tmp_path: Path) -> None:
    from migrate.directory.registry import open_directory, table_model

    fake.tenant.licensed = False
    (tmp_path / "methods.csv").write_text("upn,methods\nuser1@contoso.com,mobilePhone\n")
    join = {"kind": "csv", "path": str(tmp_path / "methods.csv"), "on": "username", "columns": {"username": "upn", "methods": "methods"}}
    told = fake.settings() | {"join": [join]}
    rows, _ = read_all(open_directory(table_model(told).model_validate(told)))
    assert rows.set_index("username")["methods"].to_dict() == {"user1@contoso.com": 4, "user2@contoso.com": 1 << 10}


def test_a_licensed_tenant_is_believed_to_have_none_only_if_it_is_said_three_times(fake: Fake, tmp_path: Path) -> None:
    fake.fail("/v1.0/reports", "no premium", times=2)
    assert len(accounts(fake, tmp_path)) == 2
    fake.fail("/v1.0/reports", "no premium", times=3)
    assert isinstance(refused(fake, tmp_path), NoLicenceError)


def test_check_counts_the_users_and_tells_the_price(fake: Fake, tmp_path: Path) -> None:
    [outlook] = directory(fake, tmp_path).outlooks()
    assert outlook.said.startswith("contoso.onmicrosoft.com lets the application in, with AuditLog.Read.All, Domain.Read.All, ")
    assert outlook.said.endswith(
        "; a read of 2 users costs about 7 calls (1 for the users, 1 for the report, 5 for domains, policy, groups and roles) and 1 minute"
    )


def test_prices_are_those_of_the_limits_that_microsoft_names() -> None:
    made = settings_model("entra")
    base = {"tenant": "contoso.com", "client_id": "b", "client_secret": "s"}
    said, minutes = priced(made(**base), 100_000)
    assert said.startswith("about 207 calls (101 for the users, 101 for the report, ") and 3.4 <= minutes <= 4.5
    said, minutes = priced(made(**base, detail=["sign_ins"], sign_in_days=30), 100_000)
    assert "200 for the users" in said and "30,000 for about 10 sign-ins a user and day" in said and 17 <= minutes / 60 <= 18
    said, minutes = priced(made(**base, detail=["phones"]), 5_000)
    assert "250 at most for telephones" in said and "up to 2.8 hours if Microsoft counts every read in a batch" in said


def test_a_read_that_takes_longer_than_the_timeout_is_foretold(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(*(person(number) for number in range(1, 60))), clock=clock.now) as fake:
        [outlook] = directory(fake, tmp_path, timeout=5).outlooks()
    assert outlook.warnings[-1].startswith("a read may take 1 minute, and [directory] timeout allows 1 minute")


@pytest.mark.parametrize("library", ["httpx", "msal"])
def test_a_library_that_is_not_installed_is_named_with_what_to_type(
    library: str, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert "pip install 'sms-migrate[entra]'" in str(refused(fake, tmp_path))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tenant": "common"}, "no tenant of one's own"),
        ({"client_secret": None}, "there is none of them"),
        ({"managed_identity": True}, "client_secret and managed_identity are set"),
        ({"client_id": None}, "client_id is missing"),
        ({"graph_url": "http://graph.example.com"}, "no address that a secret may be sent to"),
        ({"login_url": "https://user@login.example.com"}, "no address that a secret may be sent to"),
        ({"cloud": "moon"}, "Input should be"),
        ({"detail": ["phones", "phones"]}, "names one twice"),
        ({"groups": ["A", "a"]}, "names one twice"),
        ({"sign_in_days": 31}, "less than or equal to 30"),
        ({"profile": "entra-users"}, "profile is for exports"),
        ({"rows": "methods"}, "rows is for exports"),
        ({"method_columns": {"sms": "x"}}, "method_columns are for sources that have columns"),
        ({"columns": {"methods": "x"}}, "'methods' has its value from Entra ID"),
        ({"columns": {"department": "x&$top"}}, "no property of a user"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("$", r"\$")):
        settings_model("entra")(**{"tenant": "contoso.com", "client_id": "b0", "client_secret": "hunter2"} | changed)


@pytest.mark.parametrize(
    ("cloud", "graph", "login"),
    [
        ("public", "graph.microsoft.com", "login.microsoftonline.com"),
        ("usgov", "graph.microsoft.us", "login.microsoftonline.us"),
        ("usgov_dod", "dod-graph.microsoft.us", "login.microsoftonline.us"),
        ("china", "microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_own_graph_and_sign_in(cloud: str, graph: str, login: str) -> None:
    made = settings_model("entra")(tenant="contoso.com", client_id="b0", client_secret="s", cloud=cloud)
    assert (made.graph, made.login) == (f"https://{graph}", f"https://{login}")  # type: ignore[attr-defined]
    assert made.consent_address == f"https://{login}/contoso.com/adminconsent?client_id=b0"  # type: ignore[attr-defined]


def test_every_permission_that_is_asked_for_only_reads() -> None:
    from migrate.directory.entra import permissions

    needs = [each for each in vars(permissions).values() if isinstance(each, permissions.Need)]
    assert len(needs) == 10
    assert not [name for each in needs for name in each.permissions if "Write" in name]
    assert {name for each in needs for name in each.permissions} >= {*READING, *DETAILS}
