"""The exact words of a letter again, and what proves them."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import default
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from campaigns import Campaign
from cast import at

from migrate import cli
from migrate.errors import ConfigError, LedgerError
from migrate.explain.letter_text import Text, text_of
from migrate.ledger import schema
from migrate.ledger.engine import Ledger
from migrate.mail.recompose import recomposer
from migrate.run.sending import send

L = schema.letter.c


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Ann was reminded, and then moved; Zoë has a name that is not ASCII."""
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.edit("formats = []", "formats = []\n\n[schedule]\ndays_before = [30, 14, 7]")
    made.person("ann", "sms", notification_emails="home@ann.example")
    made.person("zoe", "sms", display_name="Zoë Ødegård")
    made.run("2024-01-02 14:00")
    made.person("ann", "totp")
    made.run("2024-01-03 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    return lived.copy(tmp_path / "campaign")


def execute(campaign: Campaign, statement: sa.Executable) -> None:
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.begin() as connection:
        connection.execute(statement)


def references(campaign: Campaign) -> list[str]:
    with Ledger.open_readonly(campaign.config.ledger) as ledger, ledger.read() as connection:
        return list(connection.execute(sa.select(L.reference).order_by(L.id)).scalars())


def words(campaign: Campaign, reference: str) -> Text:
    with Ledger.open_readonly(campaign.config.ledger) as ledger, ledger.read() as connection:
        return text_of(connection, reference)


def received(campaign: Campaign) -> dict[str, bytes]:
    """The messages in the Maildir, by their references."""
    found = [path.read_bytes().partition(b"\n")[2] for path in (campaign.folder / "outbox" / "new").iterdir()]
    return {str(message_from_bytes(each)["X-Migrate-Reference"]): each for each in found}


def test_every_letter_that_was_sent_comes_again_to_the_last_byte_and_is_proven(campaign: Campaign) -> None:
    sent = received(campaign)
    assert len(sent) == 4  # two reminders, and a confirmation to both of ann's addresses
    assert sorted(references(campaign)) == sorted(sent)
    for reference, message in sent.items():
        found = words(campaign, reference)
        assert found.proven
        assert found.message.encode().replace(b"\r\n", b"\n") == message.replace(b"\r\n", b"\n")
        assert found.digest == sha256(found.message.encode()).hexdigest()
        read = message_from_bytes(message, policy=default)
        assert (found.to, found.subject) == (read["To"], read["Subject"])
        plain = read.get_body(("plain",))
        assert plain is not None
        assert found.text.splitlines() == plain.get_content().splitlines()


def test_the_words_are_those_of_then_whatever_templates_and_configuration_say_now(campaign: Campaign) -> None:
    (first, *_) = references(campaign)
    before = words(campaign, first)
    (campaign.folder / "own" / "reminder").mkdir(parents=True)
    (campaign.folder / "own" / "reminder" / "subject.txt.j2").write_text("Something else")
    campaign.edit('security@example.com>"', 'others@example.com>"\ntemplates = "own"')
    campaign.edit("Example Corp", "Another Corp")
    campaign.edit("cutoff = 2024-02-01", "cutoff = 2024-05-01")
    campaign.run("2024-01-20 14:00")
    assert words(campaign, first) == before


def test_what_was_sent_later_with_other_templates_than_the_run_s_is_kept_as_well(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.person("ann")
    campaign.run("2024-01-02 14:00", send=False)
    (tmp_path / "own" / "reminder").mkdir(parents=True)
    (tmp_path / "own" / "reminder" / "subject.txt.j2").write_text("Move before {{ cutoff.day }}, {{ account.name }}")
    campaign.edit('security@example.com>"', 'security@example.com>"\ntemplates = "own"')
    assert send(campaign.config, at("2024-01-02 15:00")).sending.sent == 1
    (reference,) = references(campaign)
    found = words(campaign, reference)
    assert found.proven
    assert found.subject == "Move before Wednesday, 31 January 2024,"


def test_a_letter_of_a_rehearsal_comes_again_as_it_went(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.edit("[ledger]", '[safety]\nredirect_to = "me@example.com"\n\n[ledger]')
    campaign.person("ann")
    campaign.run("2024-01-02 14:00")
    (reference,) = references(campaign)
    found = words(campaign, reference)
    assert (found.to, found.proven) == ("me@example.com", True)
    assert found.subject.startswith("[Rehearsal for ann@example.com] ")


def test_a_confirmation_comes_again_after_the_cutoff_was_moved_between_its_run_and_its_sending(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    (tmp_path / "own" / "change_confirmation").mkdir(parents=True)
    (tmp_path / "own" / "change_confirmation" / "subject.txt.j2").write_text("Changed; the cutoff is {{ cutoff.on }}")
    campaign.edit('security@example.com>"', 'security@example.com>"\ntemplates = "own"')
    campaign.person("ann")
    campaign.run("2024-01-02 14:00")
    campaign.person("ann", "totp")
    campaign.run("2024-01-03 14:00", send=False)
    campaign.edit("cutoff = 2024-02-01", "cutoff = 2024-03-01")
    campaign.run("2024-01-04 14:00")
    found = words(campaign, references(campaign)[-1])
    assert found.proven
    assert "March" in found.subject or "February" in found.subject


@pytest.mark.parametrize(
    "edit",
    [
        sa.update(schema.notice).values(facts='{"standing":"sms_only","username":"mallory"}'),
        sa.update(schema.letter).values(address="mallory@example.com"),
        sa.update(schema.letter).values(message_digest="0" * 64),
        sa.update(schema.artefact).values(content=sa.func.replace(schema.artefact.c.content, "Example account", "Evil account")),
    ],
    ids=["facts", "address", "digest", "templates"],
)
def test_a_ledger_that_was_edited_proves_nothing_and_shows_no_words(campaign: Campaign, edit: sa.Executable) -> None:
    reference = references(campaign)[1]  # zoe's
    execute(campaign, sa.delete(schema.letter_event))
    execute(campaign, sa.delete(schema.letter).where(L.reference != reference))
    execute(campaign, edit)
    with pytest.raises(LedgerError, match="is not what was sent"):
        words(campaign, reference)


def test_a_letter_of_before_digests_were_kept_says_that_nothing_proves_it(campaign: Campaign) -> None:
    reference = references(campaign)[1]
    proven = words(campaign, reference)
    execute(campaign, sa.update(schema.letter).values(message_digest=None))
    found = words(campaign, reference)
    assert (found.text, found.subject, found.proven) == (proven.text, proven.subject, False)


def test_a_letter_that_has_not_been_sent_has_no_words(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.person("ann")
    campaign.run("2024-01-02 14:00", send=False)
    with pytest.raises(ConfigError, match="has not been sent"):
        words(campaign, *references(campaign))


def test_templates_that_were_not_kept_are_said(campaign: Campaign) -> None:
    execute(campaign, sa.update(schema.letter).values(mail_digest="9" * 64))
    with pytest.raises(ConfigError, match="were not kept"):
        words(campaign, references(campaign)[0])


def test_a_composer_made_again_has_the_very_sources(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.edit('support_email = "help@example.com"', 'support_email = "help@example.com"\nsupport_phone = "+1 555 0100"')
    campaign.edit(
        'security@example.com>"',
        'security@example.com>"\nreply_to = "help@example.com"\nenvelope_from = "bounces@example.com"\nlinks = true',
    )
    campaign.edit(
        "support_email =",
        'guide = "entra-passkey"\nsteps = ["Type the address.", "Choose a passkey."]\nsign_in_address = "aka.ms/mfa"\nsupport_email =',
    )
    campaign.path.write_text(campaign.path.read_text() + '[mail.brand]\nname = "Example"\ncolor = "#004488"\n')
    composer = campaign.config.composer()
    again = recomposer(composer.kept, tmp_path / "again", campaign.config.campaign.cutoff_at)
    assert again.sources == composer.sources
    assert again.digest == composer.digest


def called(campaign: Campaign, *arguments: str) -> tuple[int, str]:
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["--config", str(campaign.path), "explain", *arguments])
    return code, out.getvalue() + err.getvalue()


def test_the_command_prints_the_words_and_what_proves_them(campaign: Campaign) -> None:
    reference = references(campaign)[1]
    code, said = called(campaign, reference, "--text")
    assert code == 0
    assert "zoe@example.com" in said
    assert reference in said
    assert "These are the words that were sent: their digest is the one that was kept then." in said
    code, told = called(campaign, reference, "--text", "--json")
    facts = json.loads(told)
    assert (code, facts["reference"], facts["proven"]) == (0, reference, True)
    assert sha256(facts["message"].encode()).hexdigest() == facts["digest"]


def test_an_account_is_no_letter_and_its_letters_are_named(campaign: Campaign) -> None:
    code, said = called(campaign, "ann", "--text")
    assert code == 2
    assert "--text shows one letter" in said
    assert references(campaign)[0] in said
