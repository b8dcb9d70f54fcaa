"""Guides: which steps a letter prints, for whom, in which words; and where on a telephone its date stands."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hostile.readers import in_browser
from mail.post import MARIA, campaign, compose, mail, part

from migrate.core.campaign import CampaignSettings
from migrate.core.kinds import KINDS
from migrate.mail.compose import Composer
from migrate.mail.facts import Facts
from migrate.mail.guides import GUIDES, SHARED, file_of
from migrate.mail.lint import lint
from migrate.mail.overrides import shipped

HABIT = replace(MARIA, standing="sms_default", methods=("sms", "push"))
FALLBACK = replace(MARIA, standing="sms_fallback", methods=("sms", "push"), default_method="push")


def entra(**changed: Any) -> CampaignSettings:
    ours: dict[str, Any] = {
        "guide": "entra-passkey",
        "sign_in_address": "https://mysignins.microsoft.com/security-info",
        "settings_path": ("Security info",),
        "at_cutoff": "must_re_enrol",
        "product": "Microsoft 365 account",
        "cutoff": datetime(2027, 2, 1),
        "timezone": "Europe/Berlin",
    }
    return campaign(**(ours | changed))


def steps(facts: Facts = MARIA, kind: str = "reminder", *, by: Composer | None = None) -> list[str]:
    letter = compose(facts, kind, by=by)
    text = [line for line in letter.text.splitlines() if re.match(r"\d+\. ", line)]
    page = [html.unescape(re.sub(r"<[^>]+>", "", item)).strip() for item in re.findall(r"<li.*?</li>", part(letter, "html"), re.DOTALL)]
    assert text == [f"{number}. {item}" for number, item in enumerate(page, 1)]
    return text


def test_a_guest_is_told_of_the_address_that_was_invited_and_to_switch_to_the_organization_that_writes() -> None:
    """Entra ID's name for a guest is one that they never see, and Security info opens at the organization they come from."""
    guest = replace(MARIA, username="maria_santos_fabrikam.com#EXT#@contoso.onmicrosoft.com")
    by = Composer(mail(), entra(organization="Contoso"))
    said = compose(guest, by=by).text
    assert "your account maria_santos@fabrikam.com still gets" in said and "#EXT#" not in said
    switch = 'You are a guest here: choose your picture at the top right, then "Switch organization", and Contoso.'
    for facts in (guest, replace(HABIT, username=guest.username)):
        assert [line[:1] for line in steps(facts, by=by) if switch in line] == ["2"]
    assert not any("guest" in line for line in steps(by=by))


def test_no_guest_is_told_to_have_seen_a_page_that_microsoft_does_not_show_guests() -> None:
    guest = replace(MARIA, username="maria_santos_fabrikam.com#EXT#@contoso.onmicrosoft.com")
    by = Composer(mail(), entra())
    seen = "You may already have seen a page that asks you to create a passkey"
    assert [seen in compose(facts, by=by).text for facts in (MARIA, guest)] == [True, False]
    passed = [compose(facts, "cutoff_passed", by=by, now=datetime(2027, 2, 3, 9, tzinfo=UTC)).text for facts in (MARIA, guest)]
    assert all("comes from Microsoft and is genuine" in text for text in passed)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_guide_makes_every_letter(guide: str) -> None:
    by = Composer(mail(), entra(guide=guide))
    assert {kind for kind, _ in by.try_all(every_language=True)} == set(KINDS)
    assert len(steps(by=by)) >= 5


def test_the_registry_names_every_guide_there_is_a_file_of() -> None:
    assert {f"_guides/{path.name}" for path in (shipped() / "_guides").iterdir()} == {*map(file_of, GUIDES), SHARED}


def test_a_passkey_is_set_up_by_way_of_security_info_and_its_address_is_typed() -> None:
    found = steps(by=Composer(mail(), entra()))
    assert found[0] == (
        "1. Type this address into your browser: mysignins.microsoft.com/security-info – "
        "and sign in to your Microsoft 365 account as you always do."
    )
    assert found[1:4] == ['2. You see the page "Security info".', '3. Choose "Add sign-in method".', '4. Choose "Passkey", then "Next".']


def test_steps_of_the_operator_s_own_take_the_guide_s_place() -> None:
    by = Composer(mail(), campaign(steps=("Open <Okta>.", 'Choose "Add".')))
    assert steps(by=by) == ["1. Open <Okta>.", '2. Choose "Add".']


@pytest.mark.parametrize("kind", ["announcement", "reminder", "final_reminder", "cutoff_passed"])
@pytest.mark.parametrize("own", [(), ("Do this.",)])
def test_who_has_another_way_already_makes_it_the_default_or_removes_the_telephone(kind: str, own: tuple[str, ...]) -> None:
    by = Composer(mail(), campaign(steps=own))
    assert steps(HABIT, kind, by=by)[3:] == [
        "4. Choose an approval in an authenticator app as the method that you are asked for first (the default)."
    ]
    assert steps(FALLBACK, kind, by=by)[3:] == ["4. Remove your telephone number from the methods there."]
    assert "QR code" not in compose(HABIT, kind, by=by).text


def test_who_has_another_way_already_is_not_told_to_move_in_the_subject() -> None:
    assert compose(HABIT).subject == "14 days left of text message codes for your Example account"
    assert compose().subject == "14 days left to move your Example account to an authenticator app"


def test_nobody_is_told_to_go_on_with_a_code_by_email_who_has_an_authenticator() -> None:
    mixed = replace(HABIT, methods=("sms", "email_otp", "totp", "unknown"))
    assert "your other way (an authenticator app)" in compose(mixed).text


@pytest.mark.parametrize("kind", ["announcement", "reminder", "final_reminder", "cutoff_passed"])
def test_letters_for_entra_say_that_microsoft_s_page_is_genuine_and_that_two_days_may_be_missing(kind: str) -> None:
    by = Composer(mail(), entra())
    text = compose(kind=kind, by=by).text
    assert 'comes from Microsoft and is genuine: choose "Next".' in text
    assert "If you have done this in the last two days, ignore this message" in text


def test_letters_for_entra_never_say_that_anybody_is_locked_out() -> None:
    by = Composer(mail(), entra())
    for kind, letter in by.try_all(every_language=True):
        assert not re.search(r"(?i)lock(?:ed)?.?out|account will be locked|gesperrt|مقفل", letter.text), kind
    assert "from then on, when you sign in, you will be asked to create a passkey and cannot skip it." in compose(by=by).text


def test_the_address_is_a_link_only_where_links_are_wanted() -> None:
    for kind, letter in Composer(mail(), entra()).try_all():
        assert not re.search(r"(?i)href|https?:", letter.html + letter.text), kind
    page = part(compose(by=Composer(mail(links=True), entra())), "html")
    assert re.findall(r'href="([^"]*)"', page) == ["https://mysignins.microsoft.com/security-info"]
    assert "its only link leads to mysignins.microsoft.com/security-info" in page


@pytest.mark.parametrize(
    "address", ["http://login.example.com", "login.example.com?token=1", "javascript:alert(1)", "a@b.example.com", "login"]
)
def test_an_address_that_nobody_should_type_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no address that people can type"):
        campaign(sign_in_address=address)


def test_the_brand_has_a_colour_and_a_name_and_fetches_nothing() -> None:
    page = part(compose(by=Composer(mail(brand={"color": "#0b6b4f", "name": "Example IT <x>"}), campaign())), "html")
    assert 'bgcolor="#0b6b4f"' in page and "Example IT &lt;x&gt;" in page
    assert "bgcolor" not in part(compose(), "html")
    with pytest.raises(ValueError, match="color"):
        mail(brand={"color": "url(https://example.com)"})


def test_a_guide_is_overridden_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "_guides").mkdir()
    mine = (shipped() / "_guides" / "entra-passkey.j2").read_text(encoding="utf-8").replace('Choose "Passkey", then', "Tap the key, then")
    (tmp_path / "_guides" / "entra-passkey.j2").write_text(mine, encoding="utf-8")
    by = Composer(mail(templates=tmp_path), entra())
    assert '4. Tap the key, then "Next".' in steps(by=by)
    assert by.files.own() == ("_guides/entra-passkey.j2",) and by.files.astray() == ()


def test_what_looks_like_a_phish_is_found_in_letters_as_they_come_out(tmp_path: Path) -> None:
    (tmp_path / "reminder").mkdir()
    (tmp_path / "reminder" / "body.html.j2").write_text(
        '<p>Act now, or you are locked out: <a href="https://evil.example/x">sign in</a> {{ reference }}</p><img src="https://t.example/p.gif">'
    )
    by = Composer(mail(templates=tmp_path), entra(playbook="entra-2027"))
    said = list(lint(by.try_all(), mail(), entra(playbook="entra-2027"), ["locked out"]))
    assert [line.split("; ")[0] for line in said] == [
        "reminder: has the link https://evil.example/x",
        "reminder: has the link https://t.example/p.gif",
        "reminder: has something that must be fetched",
        "reminder: says 'Act now', as a phish does",
        "reminder: does not name help@example.com, whom people can ask whether it is genuine.",
        "reminder: says 'locked out', which the playbook 'entra-2027' knows to be wrong.",
    ]


def test_our_own_letters_have_nothing_of_it_with_links_and_without() -> None:
    for links in (False, True):
        for guide in GUIDES:
            there, sender = entra(guide=guide), mail(links=links)
            letters = Composer(sender, there).try_all(every_language=True)
            assert list(lint(letters, sender, there, ["locked out", "lockout", "lose access"])) == []


MEASURE = """<!doctype html><body style="margin:0"><iframe id="phone" style="width:360px;height:640px;border:0" srcdoc="{letter}"></iframe>
<script>document.getElementById("phone").onload = function () {{
  var page = this.contentDocument, walk = page.createTreeWalker(page.body, 4), last = 0, node, range = page.createRange();
  while ((node = walk.nextNode())) {{
    var at = node.data.indexOf({date});
    if (at >= 0) {{ range.setStart(node, at); range.setEnd(node, at + {length}); last = last || range.getBoundingClientRect().bottom; }}
  }}
  document.title = JSON.stringify({{bottom: last, width: page.documentElement.scrollWidth}});
}}</script>"""


@pytest.mark.parametrize("locale", ["en-GB", "de", "ar"])
def test_the_date_stands_on_the_first_screen_of_a_telephone_and_nothing_is_wider_than_it(locale: str, tmp_path: Path) -> None:
    """360 by 640 points, of which a mail program takes a part: the date must be in the upper 420."""
    by = Composer(mail(brand={"color": "#0b6b4f"}), entra())
    date = {"en-GB": "31 January 2027", "de": "31. Januar 2027", "ar": "31 يناير 2027"}[locale]
    for kind in ("announcement", "reminder", "final_reminder", "cutoff_passed"):
        letter = compose(replace(MARIA, locale=locale, phone="•••42"), kind, by=by, now=datetime(2027, 1, 17, 9, tzinfo=UTC))
        assert date in letter.text
        page = tmp_path / f"{kind}.html"
        page.write_text(MEASURE.format(letter=html.escape(letter.html), date=json.dumps(date), length=len(date)), encoding="utf-8")
        dom, asked = in_browser(page, tmp_path / "profile")
        found = re.search(r"<title>(.*?)</title>", dom)
        assert found and not asked
        measured = json.loads(found[1])
        assert 0 < measured["bottom"] <= 420, (kind, measured)
        assert measured["width"] <= 360, (kind, measured)
