from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail.post import MARIA, NOW, campaign, compose, mail, parsed, part

from migrate.core.accounts import METHODS
from migrate.core.kinds import KINDS
from migrate.core.standing import STANDINGS
from migrate.core.words import CHANGES
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.sample import samples

GOLDEN = Path(__file__).parent / "golden"


def text(facts: Facts = MARIA, kind: str = "reminder", **changed: object) -> str:
    return part(compose(facts, kind, **changed), "plain")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_of_each_kind_reads_as_it_was_approved(kind: str, composer: Composer) -> None:
    """GOLDEN=write in the environment writes the files anew; then read the difference as its recipient would."""
    letters = [letter for made, letter in composer.try_all() if made == kind]
    written = "\n".join(f"Subject: {letter.subject}\n\n{letter.text}\n{'=' * 72}" for letter in letters)
    path = GOLDEN / f"{kind}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")


def test_a_message_has_the_headers_that_were_promised_and_no_others(composer: Composer) -> None:
    message = parsed(compose(by=composer))
    assert dict(message.items()) == {
        "From": "Example Corp Security <security@example.com>",
        "To": "maria.santos@example.com",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "X-Migrate-Campaign": "sms-retirement",
        "X-Migrate-Kind": "reminder",
        "X-Migrate-Occasion": "T-14",
        "X-Migrate-Reference": "7KQ4MX2P",
        "Content-Language": "en",
        "Subject": "14 days left to move your Example account to an authenticator app",
        "Date": "Thu, 18 Jan 2024 17:30:00 +0000",
        "Message-ID": message["Message-ID"],
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    assert all(not each.defects for each in message.walk())


def test_answers_go_where_the_configuration_says() -> None:
    letter = compose(by=Composer(mail(reply_to="help@example.com", envelope_from="bounces@example.com"), campaign()))
    assert parsed(letter)["Reply-To"] == "help@example.com"
    assert letter.envelope_from == "bounces@example.com"
    assert b"bounces@" not in letter.message


def test_equal_input_gives_equal_bytes(composer: Composer) -> None:
    assert compose(by=composer).message == compose(by=Composer(mail(), campaign())).message
    assert compose(by=composer).message != compose(by=composer, reference="OTHER234").message


def test_the_text_stands_alone_and_says_what_the_page_says(composer: Composer) -> None:
    for _, letter in composer.try_all():
        page = re.sub(r"<style>.*?</style>|<title>.*?</title>|<[^>]+>", " ", part(letter, "html"), flags=re.DOTALL)
        page = page.replace("&#34;", '"').replace("&#39;", "'").replace("&gt;", ">").replace("&amp;", "&")
        for paragraph in letter.text.splitlines():
            words = re.sub(r"^(\d\.|--) *", "", paragraph).split()
            assert " ".join(words) in " ".join(page.split())


def test_no_letter_has_a_link_an_image_or_a_claim_against_phishing(composer: Composer) -> None:
    for _, letter in composer.try_all():
        assert not re.search(r"(?i)https?:|href|<img|url\(|src=|phish", letter.html + letter.text)


def test_every_letter_names_its_reference_its_address_and_whom_to_ask(composer: Composer) -> None:
    for _, letter in composer.try_all():
        for subtype in ("plain", "html"):
            body = part(letter, subtype)
            assert "SAMPLE23" in body and "maria.santos@example.com" in body and "help@example.com" in body


def test_every_confirmation_says_what_to_do_if_it_was_not_you_and_that_it_is_mandatory(composer: Composer) -> None:
    confirmations = [letter for kind, letter in composer.try_all() if kind == "change_confirmation"]
    assert {letter.subject for letter in confirmations} > {"Two-step verification for your Example account was turned off"}
    for letter in confirmations:
        assert "If it was not you" in letter.text
        assert "This mandatory notice was sent to maria.santos@example.com" in letter.text


def test_a_reminder_names_the_last_usable_moment_and_the_days_left() -> None:
    body = text()
    assert "until the end of Wednesday, 31 January 2024 (Pacific Standard Time, UTC-08:00). You have 14 days left." in body


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (datetime(2024, 1, 30, 20, tzinfo=UTC), "You have 2 days left."),
        (datetime(2024, 1, 31, 20, tzinfo=UTC), "Today is the last day."),
        (datetime(2024, 2, 1, 8, tzinfo=UTC), "They do not work any more."),
    ],
)
def test_days_left_are_counted_from_the_day_of_writing(now: datetime, left: str) -> None:
    assert left in text(now=now)


def test_one_day_is_not_one_days() -> None:
    afternoon = Composer(mail(), campaign(cutoff=datetime(2024, 2, 1, 17, 0)))
    letter = compose(by=afternoon, now=datetime(2024, 1, 31, 20, tzinfo=UTC))
    assert letter.subject.startswith("1 day left to move")
    assert "until Thursday, 1 February 2024, 17:00 (Pacific Standard Time, UTC-08:00). You have 1 day left." in letter.text


def test_an_account_s_own_cutoff_goes_before_the_campaign_s() -> None:
    body = text(cutoff=datetime(2024, 3, 1, 8, tzinfo=UTC))
    assert "Thursday, 29 February 2024" in body and "43 days left" in body


def test_the_seven_steps_follow_the_configured_path() -> None:
    steps = [line for line in text().splitlines() if re.match(r"\d\. ", line)]
    assert steps[1:3] == ['2. Go to "Password and Security" under "Profile and Settings".', '3. Open "2-Step Verification".']
    assert len(steps) == 7
    short = compose(by=Composer(mail(), campaign(settings_path=("Security",))))
    assert '2. Go to your account settings.\n3. Open "Security".' in short.text


@pytest.mark.parametrize(
    ("word", "before", "after"),
    [
        ("loses_second_step", "will lose its second step", "has lost its second step"),
        ("locked_out", "will be locked", "Your account is locked"),
        ("must_re_enrol", "you will have to set up an authenticator app", "you will have to set up an authenticator app"),
    ],
)
def test_what_the_cutoff_does_is_said_before_and_after_it(word: str, before: str, after: str) -> None:
    by = Composer(mail(), campaign(at_cutoff=word))
    assert before in compose(by=by).text
    assert after in compose(kind="cutoff_passed", by=by, now=NOW + timedelta(days=20)).text


def test_somebody_who_only_prefers_text_messages_is_not_threatened_with_losing_anything() -> None:
    habit = replace(MARIA, standing="sms_default", methods=("sms", "totp"))
    body = text(habit)
    assert "You will still be able to sign in with your other way (an authenticator app)" in body
    assert "lose" not in body and "Make it the one that you are asked for first" in body


def test_someone_with_backup_codes_alone_has_no_second_step() -> None:
    off = replace(
        MARIA, standing="no_second_step", methods=("backup_code",), had=("sms", "backup_code"), change="two_step_disabled", seen_at=NOW
    )
    body = text(off, "change_confirmation")
    assert "Your account has no second step now." in body and "Removed: text message (SMS)." in body


def test_the_support_phone_is_named_if_there_is_one() -> None:
    assert "or call +1 555 0100" in compose(by=Composer(mail(), campaign(support_phone="+1 555 0100"))).text


def test_a_hostile_name_stays_a_name(composer: Composer) -> None:
    hostile = replace(MARIA, given_name="<script>alert(1)</script> & {{ 7*7 }}\r\nBcc: all@example.com", username="</p><b>x")
    letter = compose(hostile, by=composer)
    page = part(letter, "html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {{ 7*7 }} Bcc: all@example.com" in page
    assert "<script>" not in page and "</p><b>x" not in page
    assert "Hello <script>alert(1)</script> & {{ 7*7 }} Bcc: all@example.com," in letter.text
    assert parsed(letter)["Bcc"] is None


def test_a_hostile_name_reaches_no_header_of_an_operator_s_subject(tmp_path: Path) -> None:
    (tmp_path / "reminder").mkdir()
    (tmp_path / "reminder" / "subject.txt.j2").write_text("{{ account.name }}, {{ account.username }}: {{ days_left | days }}")
    hostile = replace(MARIA, given_name="a\r\nBcc: all@example.com", username="b\nX-Evil: 1")
    message = parsed(compose(hostile, by=Composer(mail(templates=tmp_path), campaign())))
    assert message["Subject"] == "a Bcc: all@example.com, b X-Evil: 1: 14 days"
    assert message["X-Evil"] is None and message["Bcc"] is None


@pytest.mark.parametrize("to", ["a@example.com\r\nBcc: b@example.com", "a@example.com\x00", "a@é..com"])
def test_an_address_that_would_break_a_header_is_refused(to: str, composer: Composer) -> None:
    with pytest.raises(UnrenderableError) as caught:
        compose(by=composer, to=to)
    assert caught.value.variable == "to"


def test_an_internationalised_domain_travels_in_ascii_and_is_shown_as_written(composer: Composer) -> None:
    letter = compose(by=composer, to="maria@exämple.com")
    assert letter.to == "maria@xn--exmple-cua.com" and parsed(letter)["To"] == letter.to
    assert "was sent to maria@exämple.com" in part(letter, "plain")
    assert not letter.needs_smtputf8 and letter.message.isascii()


def test_a_local_part_outside_ascii_needs_smtputf8(composer: Composer) -> None:
    letter = compose(by=composer, to="jürgen@example.com")
    assert letter.needs_smtputf8
    assert "To: jürgen@example.com\r\n".encode() in letter.message


def test_names_in_any_script_survive_the_wire(composer: Composer) -> None:
    letter = compose(replace(MARIA, given_name="Žofie 花子 👩\u200d🔬"), by=composer)
    assert letter.message.isascii()
    assert "Hello Žofie 花子 👩\u200d🔬," in part(letter, "plain") and "Hello Žofie 花子 👩\u200d🔬," in part(letter, "html")


ANY_FACTS = st.builds(
    Facts,
    username=st.text(max_size=300),
    given_name=st.none() | st.text(max_size=100),
    display_name=st.none() | st.text(max_size=100),
    phone=st.none() | st.text(max_size=20),
    locale=st.none() | st.text(max_size=12) | st.sampled_from(["de-DE", "ar", "zh-Hant-TW"]),
    standing=st.sampled_from(STANDINGS),
    methods=st.lists(st.sampled_from(METHODS), unique=True).map(tuple),
    had=st.lists(st.sampled_from(METHODS), unique=True).map(tuple),
    default_method=st.none() | st.sampled_from(METHODS),
    change=st.sampled_from(CHANGES),
    seen_at=st.just(NOW),
)


@settings(deadline=None, max_examples=60)
@given(facts=ANY_FACTS, kind=st.sampled_from(list(KINDS)), word=st.sampled_from(["loses_second_step", "locked_out", "must_re_enrol"]))
def test_whatever_a_directory_says_of_an_account_its_letter_is_whole(facts: Facts, kind: str, word: str) -> None:
    letter = compose(facts, kind, by=composer_for(word))
    message = parsed(letter)
    assert not any(each.defects for each in message.walk())
    assert len(message.keys()) == 14
    assert all(len(line) <= 998 for line in letter.message.split(b"\r\n"))
    assert part(letter, "plain").splitlines() == letter.text.splitlines()
    assert len(re.findall(r"(?i)<(?:script|img|a|iframe)\b", letter.html)) == 0


@cache
def composer_for(word: str) -> Composer:
    return Composer(mail(), campaign(at_cutoff=word))


def test_the_digest_follows_what_a_letter_is_made_of() -> None:
    ours = Composer(mail(), campaign())
    assert ours.digest == Composer(mail(), campaign(opens=date(2023, 9, 1))).digest
    assert ours.digest != Composer(mail(), campaign(product="Other account")).digest
    assert ours.digest != Composer(mail(reply_to="help@example.com"), campaign()).digest
    assert {"reminder/body.html.j2", "_frame/base.txt.j2", "_frame/words.j2", "_frame/style.css", "settings"} <= set(ours.sources)


def test_no_secret_is_among_the_sources() -> None:
    smtp = {"host": "smtp.example.com", "username": "u", "password": "hunter2"}
    assert "hunter2" not in str(Composer(mail(transport="smtp", smtp=smtp), campaign()).sources)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_written_at_an_instant_when_its_kind_is_sent(kind: str) -> None:
    there = campaign()
    for sample in samples(kind, there):
        assert kind == "cutoff_moved" or (sample.now >= there.cutoff_at) == (kind == "cutoff_passed")
