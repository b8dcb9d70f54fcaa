from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.mail.headers import encode_subject
from migrate.mail.letter import LONGEST_LINE, assemble, message_id

DATE = datetime(2024, 1, 18, tzinfo=UTC)
PRINTABLE = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp", "Zs"), whitelist_characters=" "), min_size=1)


def test_a_message_id_is_made_of_all_its_parts() -> None:
    assert message_id("a", "b", domain="example.com") == message_id("a", "b", domain="example.com")
    different = {message_id(*parts, domain="example.com") for parts in (("a", "b"), ("ab", ""), ("a", "b", ""), ("a\0b",), ("a\\0b",))}
    assert len(different) == 5
    assert message_id("a", domain="example.com").endswith("@example.com>")


@pytest.mark.parametrize("subject", ["3 days left", "Drei Tage für Ihr Konto", "=?utf-8?q?not_encoded?=", "long " * 60, "é" * 300])
def test_a_subject_reads_as_it_was_written(subject: str) -> None:
    message = assemble({"To": "a@example.com"}, subject=subject.strip(), text="t", html="h", message_id="<1@example.com>", date=DATE)
    assert email.message_from_bytes(message, policy=email.policy.default)["Subject"] == subject.strip()


@settings(deadline=None)
@given(PRINTABLE)
def test_any_subject_keeps_to_its_header(subject: str) -> None:
    encoded = encode_subject(subject)
    assert encoded.isascii()
    assert all(line.startswith(" ") and line.strip() for line in encoded.split("\r\n")[1:])


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_body_survives_the_wire_with_lines_a_server_takes(text: str, html: str) -> None:
    text, html = (body.encode("utf-8", "replace").decode() for body in (text, html))
    message = assemble({"To": "a@example.com"}, subject="s", text=text, html=html, message_id="<1@example.com>", date=DATE)
    assert message.isascii()
    assert all(len(line) <= LONGEST_LINE for line in message.split(b"\r\n"))
    assert b"\n" not in message.replace(b"\r\n", b"") and b"\r" not in message.replace(b"\r\n", b"")
    parts = list(email.message_from_bytes(message, policy=email.policy.default).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part, body in zip(parts, (text, html), strict=True):
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert content.decode(part.get_content_charset("?")).split() == body.split()
