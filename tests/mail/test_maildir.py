from __future__ import annotations

import email.policy
import errno
import mailbox
import os
import stat
from pathlib import Path

import pytest
from mail.post import compose, mail
from powerless import powerless

from migrate.errors import MailServerError
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.maildir import MaildirTransport
from migrate.mail.transport import open_transport


@pytest.fixture
def letter(composer: Composer) -> Letter:
    return compose(by=composer)


def deliver(path: Path, *letters: Letter) -> list[str]:
    with MaildirTransport(path).connect() as connection:
        return [connection.send(letter).verdict for letter in letters]


def test_a_letter_is_read_back_by_any_mail_program(tmp_path: Path, letter: Letter) -> None:
    assert deliver(tmp_path / "outbox", letter) == ["sent"]
    (message,) = mailbox.Maildir(tmp_path / "outbox", factory=None, create=False)
    again = email.message_from_bytes(bytes(message), policy=email.policy.default)
    assert again["X-Migrate-Reference"] == letter.reference
    assert again["Return-Path"] == "<security@example.com>"
    assert again.get_body(("plain",)).get_content().split() == letter.text.split()


def test_the_file_of_a_letter_is_new_private_and_named_by_its_reference(tmp_path: Path, letter: Letter) -> None:
    deliver(tmp_path / "deep" / "outbox", letter)
    (file,) = (tmp_path / "deep" / "outbox" / "new").iterdir()
    assert f"R{letter.reference}." in file.name and ":" not in file.name
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep" / "outbox").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "deep" / "outbox" / "tmp").iterdir()) == []
    assert b"\r" not in file.read_bytes()


def test_a_letter_delivered_twice_shows_twice(tmp_path: Path, letter: Letter) -> None:
    assert deliver(tmp_path, letter, letter) == ["sent", "sent"]
    assert sum(letter.reference in file.name for file in (tmp_path / "new").iterdir()) == 2


def test_a_full_disk_stops_the_sending_and_leaves_nothing_half_written(
    tmp_path: Path, letter: Letter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MailServerError, match="No space left on device") as caught:
        deliver(tmp_path, letter)
    assert caught.value.exit_code == 6 and caught.value.where == "[mail.maildir] path"
    assert [file for name in ("tmp", "new") for file in (tmp_path / name).iterdir()] == []


def test_a_letter_whose_folder_could_not_be_saved_is_uncertain(tmp_path: Path, letter: Letter, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    assert deliver(tmp_path, letter) == ["uncertain"]
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_place_where_no_folder_can_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MailServerError, match="cannot be saved"), MaildirTransport(tmp_path / "file" / "outbox").connect():
        pass


def test_a_read_only_folder_is_an_error_before_any_letter(tmp_path: Path) -> None:
    deliver(tmp_path)
    (tmp_path / "new").chmod(0o500)
    with pytest.raises(MailServerError, match="Permission denied"):
        powerless(MaildirTransport(tmp_path).connect().__enter__)


def test_the_configuration_names_the_folder(tmp_path: Path, letter: Letter) -> None:
    with open_transport(mail(maildir={"path": tmp_path / "box"})).connect() as connection:
        connection.send(letter)
    assert len(mailbox.Maildir(tmp_path / "box", create=False)) == 1
