from __future__ import annotations

import email
import email.policy
import re
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import Message
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mail.post import NOW, campaign, compose, mail, parsed

from migrate.mail.compose import Composer
from migrate.mail.headers import LINE, Mailbox, checked_address, encode_mailbox, encode_subject, mailbox

GREEK = "Ελληνική Υπηρεσία Ψηφιακής Ασφάλειας και Πληροφορικής του Οργανισμού Τηλεπικοινωνιών"
JAPANESE = "株式会社例示情報セキュリティ管理部二段階認証移行事務局担当者一同" * 3
EMOJI = "👩‍👩‍👧‍👦🔐🇬🇷" * 15
GERMAN = "Müller & Söhne Gesellschaft für Verschlüsselung, Abteilung Zwei-Schritt-Prüfung (IT)"
LONG = "The Very Long Name of an Organisation That Never Found the Time to Shorten It, Inc."
UNBROKEN = "x" * 300
NAMES = [
    GREEK,
    JAPANESE,
    EMOJI,
    GERMAN,
    LONG,
    UNBROKEN,
    "é" * 300,
    "a =?utf-8?q?b?= c",
    'say "so" \\ (often), <always>; @home: [all]. ' + "x" * 30,
]

HOSTILE = st.one_of(
    st.sampled_from(NAMES),
    st.text(st.sampled_from('ab =?_"\\(),:;<>@[].éΩ語😀\u0301\u200d\ufeff\u00a0-'), min_size=1),
    st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp", "Cn", "Co")), min_size=1),
).map(lambda text: re.sub(" +", " ", text.strip()))
ADDRESSES = st.sampled_from(["a@example.com", "a.b+c@bücher.example", "x" * 64 + "@" + "long-label." * 15 + "example"])
WORD = re.compile(r"=\?utf-8\?[bq]\?[^?\s]*\?=")


def read(header: str, name: str = "From") -> tuple[Mailbox, Message]:
    """A From header as a mail program reads it: taken apart as it stands, and only then decoded (RFC 2047 §6.2)."""
    message = email.message_from_bytes(f"{name}: {header}\r\n\r\n".encode())
    [(phrase, address)] = getaddresses([re.sub(r"\r\n(?=[ \t])", "", message[name])])
    return Mailbox(str(make_header(decode_header(phrase))) if "=?" in phrase else phrase, address), message


def keeps_its_lengths(header: str, name: str) -> None:
    """Lines of at most 78 characters, 76 with an encoded word, but for an address that cannot be shorter; encoded words of at most 75,
    each whole (RFC 2047 §2, §5)."""
    first, *others = f"{name}: {header}".split("\r\n")
    assert first.removeprefix(f"{name}:").strip()
    assert all(line.startswith(" ") and line.strip() for line in others)
    for line in (first, *others):
        assert len(line) <= LINE or re.fullmatch(r"( |\w[\w-]*: )\S+", line), line
        assert len(line) <= (76 if "=?utf-8?" in line else 998)
    if header.isascii():
        words = WORD.findall(header)
        assert header.count("=?utf-8?") == len(words)
        for word in words:
            assert len(word) <= 75
            str(make_header(decode_header(word)))  # a character that were cut in two would not decode


@pytest.mark.parametrize(
    ("given", "name", "header"),
    [
        ("Example Corp Security <a@b.example>", "Example Corp Security", "Example Corp Security <a@b.example>"),
        ("Example, Inc. <a@b.example>", "Example, Inc.", '"Example, Inc." <a@b.example>'),
        ("Example, Inc.<a@b.example>", "Example, Inc.", '"Example, Inc." <a@b.example>'),
        ("Security: Example Corp <a@b.example>", "Security: Example Corp", '"Security: Example Corp" <a@b.example>'),
        ("Example (IT) <a@b.example>", "Example (IT)", '"Example (IT)" <a@b.example>'),
        ("Müller (IT) <a@b.example>", "Müller (IT)", "=?utf-8?b?TcO8bGxlciAoSVQp?= <a@b.example>"),
        ("[Ex] a; b. c <a@b.example>", "[Ex] a; b. c", '"[Ex] a; b. c" <a@b.example>'),
        ("Security @ Example <a@b.example>", "Security @ Example", '"Security @ Example" <a@b.example>'),
        ("Back\\slash <a@b.example>", "Back\\slash", '"Back\\\\slash" <a@b.example>'),
        ('"Example, Inc." <a@b.example>', "Example, Inc.", '"Example, Inc." <a@b.example>'),
        ('"Example Corp" <a@b.example>', "Example Corp", "Example Corp <a@b.example>"),
        ('"The \\"Best\\" \\\\ Shop" <a@b.example>', 'The "Best" \\ Shop', '"The \\"Best\\" \\\\ Shop" <a@b.example>'),
        ('"A < B, c@d.example" <a@b.example>', "A < B, c@d.example", '"A < B, c@d.example" <a@b.example>'),
        ("  Example   Corp  <  a@b.example > ", "Example Corp", "Example Corp <a@b.example>"),
        ('"" <a@b.example>', "", "a@b.example"),
        ("A@b.example <a@b.example>", "A@b.example", '"A@b.example" <a@b.example>'),
        ("<a@b.example>", "", "a@b.example"),
        ("a@b.example", "", "a@b.example"),
    ],
)
def test_a_name_is_all_that_stands_before_the_brackets_and_is_quoted_for_the_wire(given: str, name: str, header: str) -> None:
    assert mailbox(given) == Mailbox(name, "a@b.example")
    assert encode_mailbox(mailbox(given), "From") == header
    assert read(header)[0] == Mailbox(name, "a@b.example")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a@b.example, c@d.example", "has more than one address"),
        ("A <a@b.example>, B <c@d.example>", "has more than one address"),
        ("a@b.example, B <c@d.example>", "has more than one address"),
        ("A <a@b.example> <c@d.example>", "has more than one address"),
        ("Team: a@b.example, c@d.example;", "has more than one address"),
        ("c@d.example <a@b.example>", "an address that is part of the name goes between quotation marks"),
        ("Team: a@b.example;", "write 'Team <a@b.example>'"),
        ("Team: A <a@b.example>;", "write 'Team: A <a@b.example>'"),
        ("undisclosed-recipients:;", "write 'Name <address>' or an address alone"),
        ("<a@b.example> Security", "write 'Security <a@b.example>'"),
        ("Example <a@b.example> Security", "write 'Example Security <a@b.example>'"),
        ("Example <a@b.example> (IT)", "write 'Example (IT) <a@b.example>'"),
        ("a@b.example (Example)", "write 'Example <a@b.example>'"),
        ("Security a@b.example", "write 'Security <a@b.example>'"),
        ("O'Neil a@b.example", 'write "O\'Neil <a@b.example>"'),
        ("a@b.example;", "write 'a@b.example' alone"),
        ("Example <a@b.example", "write 'Example <a@b.example>'"),
        ("Example <<a@b.example>>", "write 'Example <a@b.example>'"),
        ("A < B <a@b.example>", "write '\"A < B\" <a@b.example>'"),
        (
            'The "Best" Shop <a@b.example>',
            'write \'The Best Shop <a@b.example>\', or, for a name with such marks in it, \'"The \\"Best\\" Shop" <',
        ),
        ('"Example, Inc." IT <a@b.example>', "write 'Example, Inc. IT <a@b.example>', or"),
        ('"Example <a@b.example>', "write 'Example <a@b.example>', or"),
        ("=?utf-8?q?M=C3=BCller?= <a@b.example>", "is encoded already"),
        ("=?no-such?q?M=C3=BCller?= <a@b.example>", "is encoded already"),
        ("Example <>", "is no sender"),
        ("Example", "write 'Name <address>' or an address alone"),
        ("", "write 'Name <address>' or an address alone"),
        ("Example\nBcc: c@d.example <a@b.example>", "write 'Name <address>' on one line"),
        ("Example\u2028Corp <a@b.example>", "write 'Name <address>' on one line"),
    ],
)
def test_what_may_mean_something_else_is_refused_with_what_to_write(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        mailbox(given)


@pytest.mark.parametrize(
    "said",
    ["Team <a@b.example>", "Example (IT) <a@b.example>", '"A < B" <a@b.example>', '"The \\"Best\\" Shop" <a@b.example>', "a@b.example"],
)
def test_what_a_refusal_says_to_write_is_taken(said: str) -> None:
    assert mailbox(said).address == "a@b.example"


def test_where_bounces_go_is_an_address_alone() -> None:
    with pytest.raises(ValueError, match=r"write the address alone: 'b@x\.example'"):
        checked_address("Bounces <b@x.example>")
    assert checked_address("b@x.example") == "b@x.example"


def test_answers_may_go_to_somebody_with_a_name() -> None:
    letter = compose(by=Composer(mail(reply_to="Help, Desk <help@bücher.example>"), campaign()))
    assert b'\r\nReply-To: "Help, Desk" <help@xn--bcher-kva.example>\r\n' in letter.message


@settings(deadline=None, max_examples=500)
@given(HOSTILE, ADDRESSES, st.sampled_from(["From", "Reply-To"]))
@example("=?utf-8?q?x?=", "a@example.com", "From")
@example("x" * 70 + ", y", "a@example.com", "Reply-To")
def test_any_name_and_address_read_as_they_were_written(name: str, address: str, header: str) -> None:
    value = encode_mailbox(Mailbox(name, address), header)
    keeps_its_lengths(value, header)
    there, message = read(value, header)
    on_the_wire = address.replace("bücher", "xn--bcher-kva")
    assert there == Mailbox(name, on_the_wire)
    assert not message.defects
    strictly = email.message_from_bytes(f"{header}: {value}\r\n\r\n".encode(), policy=email.policy.strict)[header]
    assert isinstance(strictly, AddressHeader)
    [found] = strictly.addresses
    assert not strictly.defects
    assert found.addr_spec == on_the_wire
    # Python 3.11's own reader puts a blank between encoded words of a name, where RFC 2047 §6.2 has none.
    assert re.sub(r"\s", "", found.display_name) == re.sub(r"\s", "", name)


@settings(deadline=None, max_examples=300)
@given(HOSTILE.filter(bool), ADDRESSES)
def test_any_name_in_quotation_marks_is_taken_to_the_letter(name: str, address: str) -> None:
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    assert mailbox(f'"{quoted}" <{address}>') == Mailbox(name, address)


@settings(deadline=None, max_examples=300)
@given(HOSTILE, ADDRESSES)
def test_a_name_without_them_is_taken_whole_or_refused(name: str, address: str) -> None:
    try:
        taken = mailbox(f"{name} <{address}>")
    except ValueError:
        assert re.search(r'["<>]|=\?|\S@\S', name)
    else:
        assert taken == Mailbox(name, address) or (name[:1], name[-1:]) == ('"', '"')


@settings(deadline=None, max_examples=300)
@given(st.one_of(HOSTILE.filter(bool), st.sampled_from(["a " * 200 + "b", "a" + " " * 200 + "b", "a, " * 50 + "x" * 90, "a\t" * 3 + "b"])))
def test_any_subject_reads_as_it_was_written_in_lines_and_words_short_enough(subject: str) -> None:
    subject = subject.replace("\t", " ")
    encoded = encode_subject(subject)
    assert encoded.isascii()
    keeps_its_lengths(encoded, "Subject")
    message = f"Subject: {encoded}\r\n\r\n".encode()
    assert email.message_from_bytes(message, policy=email.policy.default)["Subject"] == subject
    unfolded = re.sub(r"\r\n(?=[ \t])", "", email.message_from_bytes(message)["Subject"])
    assert (str(make_header(decode_header(unfolded))) if "=?" in unfolded else unfolded) == subject


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("redirect_to", [None, "jürgen@example.com"])
def test_every_header_of_a_letter_keeps_its_lengths_whatever_its_words_are(name: str, redirect_to: str | None) -> None:
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    words: dict[str, Any] = {"organization": name, "product": name}
    by = Composer(
        mail(**{"from": f'"{quoted}" <noreply@bücher.example>', "reply_to": f'"{quoted}" <help@example.com>'}),
        campaign(**words),
        redirect_to,
    )
    letter = compose(by=by, kind="announcement", now=NOW)
    head = letter.message.partition(b"\r\n\r\n")[0].decode()
    for field in re.split(r"\r\n(?![ \t])", head):
        header, _, value = field.partition(": ")
        keeps_its_lengths(value, header)
    assert parsed(letter)["Subject"] == letter.subject
    assert name in letter.subject
    from_line = re.search(r"(?:\A|\r\n)From: (.*?)\r\n(?![ \t])", head, re.DOTALL)
    assert from_line is not None
    assert read(from_line[1])[0] == Mailbox(re.sub(" +", " ", name), "noreply@xn--bcher-kva.example")


def test_the_domain_of_an_internationalised_sender_is_ascii_wherever_it_is_written() -> None:
    settings = mail(**{"from": "Bücher <noreply@bücher.example>"})
    assert settings.sender_domain == settings.envelope_address.rpartition("@")[2] == "xn--bcher-kva.example"
