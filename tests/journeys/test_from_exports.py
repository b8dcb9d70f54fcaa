"""From an export to an approved run: what an administrator types, on the exports that administrators have (design §4, Profiles)."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import Done, called

PEOPLE = range(3000)
T30 = "2024-01-02T06:00"
EDITS = {
    'name = "sms-retirement"': 'name = "exports"',
    'organization = "Example Corp"': 'organization = "Contoso"',
    "max_messages = 500": "max_messages = 50",
    'formats = ["csv", "html", "xlsx", "parquet"]': 'formats = ["csv"]',
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(path: str, header: str, rows: Iterable[Sequence[Any]]) -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def edited(more: dict[str, str] | None = None) -> None:
    """The configuration with the lines changed that a person would change."""
    text = Path("config.toml").read_text(encoding="utf-8")
    for line, instead in (EDITS | (more or {})).items():
        assert line in text, line
        text = text.replace(line, instead)
    Path("config.toml").write_text(text, encoding="utf-8")


def done(*arguments: str, code: int = 0) -> Done:
    result = called(*arguments)
    assert result.code == code, result.out + result.err
    return result


def accounts() -> list[dict[str, str]]:
    """The accounts of the latest report."""
    with Path("reports/latest/accounts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def approved_run() -> dict[str, Any]:
    """`check`, a run that is held, the dry run and the approval of its plan; the facts of the last run."""
    checked = done("check", "--json").facts
    assert checked["ok"]
    done("dry-run", "--json", "--as-of", T30, "--out", "plan")
    with Path("plan/plan.csv").open(encoding="utf-8-sig", newline="") as file:
        planned = sum(1 for _ in csv.DictReader(file))
    ran = done("run", "--json", "--as-of", T30, "--plan", "plan").facts
    assert ran["letters"]["sent"] == planned
    assert sum(ran["outcomes"].values()) == ran["read"]
    assert ran["rejected"] == 0
    return ran


def entra(n: int) -> tuple[str, str]:
    """The methods of a person of the report, and the method that is asked for first; one in ten is to be reminded."""
    return {
        0: ("mobilePhone", "sms"),
        1: ("sms;softwareOneTimePasscode", "sms"),
        2: ("mobilePhone;microsoftAuthenticatorPush", "push"),
        3: ("", "none"),
    }.get(n % 20, ("microsoftAuthenticatorPush;fido2SecurityKey", "push"))


def standings(ran: dict[str, Any]) -> dict[str, int]:
    """Where people stand, those words left out in which nobody does."""
    return {word: count for word, count in ran["standing"].items() if count}


def test_entra_registration_details_and_users() -> None:
    export(
        "registration.csv",
        "id,userPrincipalName,userDisplayName,userType,isAdmin,methodsRegistered,isSystemPreferredAuthenticationMethodEnabled,"
        "systemPreferredAuthenticationMethods,userPreferredMethodForSecondaryAuthentication,lastUpdatedDateTime",
        (
            (f"id{n}", f"P{n}@contoso.com", f"Person {n}", "member", "False", entra(n)[0], "False", "", entra(n)[1], "2024-01-01T03:00:00Z")
            for n in PEOPLE
            if n % 10 != 9  # disabled people are not in the report
        ),
    )
    export(
        "users.csv",
        "id,userPrincipalName,displayName,givenName,mail,department,accountEnabled,userType,preferredLanguage",
        (
            (f"id{n}", f"p{n}@contoso.com", f"Person {n}", "Ada", f"mail{n}@contoso.com", "Sales", str(n % 10 != 9), "Member", "de-DE")
            for n in reversed(PEOPLE)
        ),
    )
    said = done("init", "--from", "registration.csv", "users.csv").out
    assert "users.csv is: Microsoft Entra ID, list of users" in said
    assert "whether a mobile phone is used for text messages or for calls" in said.casefold()
    text = Path("config.toml").read_text(encoding="utf-8")
    assert 'path = "users.csv"' in text.split("[[directory.join]]")[0]
    assert 'on = "account_id"' in text
    edited()
    ran = approved_run()
    assert standings(ran) == {
        "sms_only": 150, "sms_default": 150, "sms_fallback": 150, "no_second_step": 150, "inactive": 300, "migrated": 2100,
    }  # fmt: skip
    assert ran["letters"]["sent"] == 300
    assert any("300 accounts have no row in" in caveat and "(0 of them enabled)" in caveat for caveat in ran["caveats"])
    assert {row["email"] for row in accounts()} >= {"mail0@contoso.com", "mail2999@contoso.com"}


def test_okta_mfa_usage_and_a_list_of_users() -> None:
    factors = {
        0: ["SMS Authentication"],
        1: ["SMS Authentication", "Okta Verify Push", "Password"],
        2: ["Password", "Email Authentication"],
        3: [],
    }
    rows = [
        (f"Person {n}", f"P{n}@example.com", factor, "2023-02-01T09:10:00Z", f"2023-0{i + 3}-01T00:00:00Z")
        for i in range(3)
        for n in PEOPLE
        for factor in factors.get(n % 20, ["FIDO2 (WebAuthn)"])[i : i + 1]
    ]
    export("usage.csv", "User,Login,MFA Factor,Last Enrolled_ISO8601,Last Used_ISO8601", rows)
    export(
        "staff.csv",
        "employee_id,login,mail,first_name,status",
        ((n + 1, f"p{n}@example.com", f"p{n}@mail.example.com", "Ada", "yes") for n in PEOPLE),
    )
    said = done("init", "--from", "usage.csv", "--from", "staff.csv").out
    assert "Look at the lines marked EDIT" in said
    text = Path("config.toml").read_text(encoding="utf-8")
    assert 'account_id = "employee_id"' in text
    assert 'missing = "none"' in text
    edited()
    ran = approved_run()
    assert ran["read"] == 3000
    assert standings(ran) == {"sms_only": 150, "sms_fallback": 150, "unknown": 150, "no_second_step": 150, "migrated": 2400}
    assert ran["letters"]["sent"] == 150


def test_gam_users_of_whom_nobody_is_called_compliant() -> None:
    export(
        "gam.csv",
        "primaryEmail,id,name.givenName,name.familyName,suspended,archived,isAdmin,isEnrolledIn2Sv,isEnforcedIn2Sv,lastLoginTime,"
        "languages.0.languageCode",
        (
            (f"p{n}@example.com", f"1{n:020}", "Ada", "L", str(n % 10 == 0), str(n % 10 == 1), "False", str(n % 10 == 2), "False",
             "Never" if n % 3 else "2024-01-01T00:00:00.000Z", "en")
            for n in PEOPLE
        ),
    )  # fmt: skip
    said = done("init", "--from", "gam.csv").out
    assert "nobody counts as compliant" in said
    edited({'remind = ["sms_only", "sms_default"]': 'remind = ["unknown"]'})
    ran = approved_run()
    assert {word for word, count in ran["standing"].items() if count} == {"inactive", "unknown", "no_second_step"}
    assert ran["standing"]["unknown"] == 300
    assert ran["letters"]["sent"] == 300
    assert {row["account_id"] for row in accounts() if row["compliant"] == "true"} == set()
    assert any("text messages cannot be told" in caveat for caveat in ran["caveats"])
    assert "text messages cannot be told" in done("check").out


FEW = range(40)


def warnings() -> list[str]:
    """What `migrate check` warns of in the directory."""
    return [each["said"] for each in called("check", "--json").facts["checks"] if (each["part"], each["state"]) == ("directory", "warning")]


def test_a_source_that_names_no_second_step_says_that_nobody_would_be_reminded_and_what_to_write() -> None:
    export(
        "gam.csv",
        "primaryEmail,id,name.givenName,name.familyName,suspended,isEnrolledIn2Sv",
        ((f"p{n}@example.com", f"1{n:020}", "Ada", "L", "False", str(n > 9)) for n in FEW),
    )
    done("init", "--from", "gam.csv")
    (left_out,) = [said for said in warnings() if "nobody reminds those" in said]
    assert left_out.startswith("30 accounts have a second step that the directory does not name")
    assert 'write `remind = ["sms_only", "sms_default", "unknown"]` under [policy]' in left_out
    assert left_out in done("dry-run", "--as-of", T30).out
    edited({'remind = ["sms_only", "sms_default"]': 'remind = ["sms_only", "sms_default", "unknown"]'})
    assert not [said for said in warnings() if "nobody reminds" in said]
    assert done("dry-run", "--as-of", T30, "--json").facts["outcomes"]["queued"] == 30


def test_a_dry_run_warns_of_a_column_that_is_read_the_wrong_way_round() -> None:
    export("staff.csv", "id,mail,methods,suspended", ((n, f"p{n}@example.com", "sms", "yes" if n == 7 else "no") for n in FEW))
    done("init", "--from", "staff.csv")
    edited({'enabled = { not = "suspended" }': 'enabled = "suspended"'})
    assert 'enabled is read from "suspended", which sounds like the opposite' in done("dry-run", "--as-of", T30).out


def test_rows_that_a_joined_export_lost_are_said_with_what_to_type_and_blame_no_other_column() -> None:
    export(
        "users.csv",
        "id,userPrincipalName,displayName,mail,accountEnabled,userType",
        ((f"a{n}", f"p{n}@x.example", "Ada", f"p{n}@x.example", str(n < 10), "Member") for n in FEW),
    )
    export(
        "registration.csv", "id,userPrincipalName,methodsRegistered", ((f"a{n}", f"p{n}@x.example", "System.Object[]") for n in range(10))
    )
    done("init", "--from", "users.csv", "registration.csv")
    said = "\n".join(warnings())
    assert "10 lists were lost by the export in methods" in said
    assert "$_.MethodsRegistered -join ';'" in said
    assert "cannot be read, and no account" not in said
    assert 'not = "enabled"' not in said


def test_a_joined_source_of_a_row_a_method_is_told_what_to_set() -> None:
    export("staff.csv", "id,login,mail", ((n, f"p{n}", f"p{n}@example.com") for n in FEW))
    export("factors.csv", "login,method", ((f"p{n}", factor) for n in FEW for factor in ("sms", "totp")))
    done("init", "--from", "staff.csv", "factors.csv")
    edited({'rows = "methods"': 'rows = "accounts"'})
    assert '40 accounts have several rows in a joined source that differ in `methods` alone: set `rows = "methods"` under its ' in (
        "\n".join(warnings())
    )


def test_status_says_that_reminders_wait_for_a_fresher_export() -> None:
    export("staff.csv", "id,mail,methods", ((n, f"p{n}@example.com", "sms") for n in FEW))
    done("init", "--from", "staff.csv")
    long_ago = datetime(2023, 12, 13, 6, tzinfo=UTC).timestamp()
    os.utime("staff.csv", (long_ago, long_ago))
    edited()
    assert done("run", "--as-of", T30, "--json").facts["letters"]["sent"] == 0
    said = "The directory is 20 days old (it speaks of 2023-12-13 06:00 UTC): reminders wait until `migrate run` reads a fresh one."
    assert said in done("status", "--as-of", T30).out


def test_a_line_of_totals_in_a_joined_source_is_named_and_nobody_is_rejected_for_it() -> None:
    export("staff.csv", "id,login,mail", ((n, f"p{n}", f"p{n}@example.com") for n in FEW))
    export("factors.csv", "login,method", [*((f"p{n}", "sms") for n in FEW), ("Total users: 40", "")])
    done("init", "--from", "staff.csv", "factors.csv")
    (said,) = warnings()
    assert "cannot be read, and no account of the file" in said
    assert "such as row 41: 'Total users: 40' is a line of totals, no account" in said
    assert done("dry-run", "--json").facts["rejected"] == 0


def test_a_file_that_looks_like_a_known_export_but_has_a_column_for_text_messages_is_read_by_that_too() -> None:
    rows = [("1", "ann", "ann@x.example", "true", "true", "true"), ("2", "bob", "bob@x.example", "true", "false", "true")]
    export("users.csv", "id,username,email,enabled,has_sms,totp", rows)
    said = done("init", "--from", "users.csv").out
    assert "is no export that is known" in said
    assert "[directory.method_columns]" in Path("config.toml").read_text(encoding="utf-8")
    assert standings(done("dry-run", "--json").facts) == {"sms_fallback": 1, "migrated": 1}


def test_the_default_of_the_portals_export_is_read_and_without_one_it_is_said_that_nobody_knows_it() -> None:
    header = "User principal name,Name,Methods registered,Default multifactor authentication method"
    both = "Mobile phone, Microsoft Authenticator app"
    export("registration.csv", header, ((f"p{n}@x.example", "A", both, "SMS" if n < 9 else "Microsoft Authenticator app") for n in FEW))
    done("init", "--from", "registration.csv")
    assert standings(done("dry-run", "--json").facts) == {"sms_default": 9, "sms_fallback": 31}
    assert not [said for said in warnings() if "asked for first" in said]
    export("registration.csv", "User principal name,Name,Methods registered", ((f"p{n}@x.example", "A", both) for n in FEW))
    assert standings(done("dry-run", "--json").facts) == {"sms_fallback": 40}
    (said,) = [said for said in warnings() if "asked for first" in said]
    assert said.startswith("nothing says which method anybody is asked for first: 40 accounts")
    edited({"strict_fallback = false": "strict_fallback = true"})
    assert not [said for said in warnings() if "asked for first" in said]


QUERIES = {
    "text": "array_agg(f.type)::text",
    "json": "json_agg(f.type)",
    "native": "array_agg(f.type)",
}


@pytest.mark.parametrize("form", QUERIES)
def test_a_postgresql_query_with_an_array(form: str, postgres_url: str) -> None:
    factors = {0: ["sms"], 1: ["sms", "totp"], 2: []}
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table people (id int primary key, mail text)")
        connection.exec_driver_sql("create table factors (person int, type text)")
        connection.execute(sa.text("insert into people values (:id, :mail)"), [{"id": n, "mail": f"p{n}@example.com"} for n in PEOPLE])
        rows = [{"person": n, "type": factor} for n in PEOPLE for factor in factors.get(n % 20, ["token:software:totp"])]
        connection.execute(sa.text("insert into factors values (:person, :type)"), rows)
    engine.dispose()
    done("init", "--kind", "sql")
    query = f"select p.id, p.mail, {QUERIES[form]} as factors from people p left join factors f on f.person = p.id group by p.id"
    edited(
        {
            'url = "sqlite:///directory.db"': f"url = {json.dumps(postgres_url)}",
            'table = "users"': f"query = {json.dumps(query)}",
            '# account_id = "id"': 'account_id = "id"',
            '# email = "mail"': 'email = "mail"',
            '# methods = "mfa_methods"': 'methods = "factors"',
        }
    )
    ran = approved_run()
    assert standings(ran) == {"sms_only": 150, "sms_fallback": 150, "no_second_step": 150, "migrated": 2550}
    assert ran["letters"]["sent"] == 150
    assert ran["unknown_words"] == {}
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("delete from factors where person = 3")  # whoever turns everything off is told
    engine.dispose()
    later = done("run", "--json", "--as-of", "2024-01-03T06:00").facts
    assert {change: count for change, count in later["changes"].items() if count} == {"two_step_disabled": 1}
    assert later["rejected"] == 0
    assert later["letters"]["sent"] == 1
    assert Counter(row["standing"] for row in accounts())["no_second_step"] == 151


@pytest.mark.parametrize("cached", [True, False])
def test_a_change_in_the_joined_file_alone_is_seen_and_confirmed(cached: bool) -> None:
    export("people.csv", "account_id,email", ((f"p{n}", f"p{n}@example.com") for n in range(50)))
    export("factors.csv", "email,methods", ((f"P{n}@example.com", "sms;totp") for n in range(50)))
    done("init", "--kind", "csv")
    text = Path("config.toml").read_text(encoding="utf-8")
    source = '[directory]\nkind = "csv"\npath = "people.csv"\n[[directory.join]]\nkind = "csv"\npath = "factors.csv"\non = "email"\n\n'
    text = re.sub(r"^\[directory\].*?(?=^\[(?!directory)|\Z)", source, text, flags=re.MULTILINE | re.DOTALL)
    Path("config.toml").write_text(text, encoding="utf-8")
    edited()
    assert done("run", "--json", "--as-of", T30).facts["standing"]["sms_fallback"] == 50
    export("factors.csv", "email,methods", ((f"P{n}@example.com", "totp" if n == 7 else "sms;totp") for n in range(50)))
    if not cached:
        for path in Path().glob("*.image*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ran = done("run", "--json", "--as-of", "2024-01-03T06:00").facts
    assert ran["changes"] == {"sms_removed": 1}
    assert ran["letters"]["sent"] == 1
    assert [row["account_id"] for row in accounts() if row["standing"] == "migrated"] == ["p7"]
