"""What the field found about lists and words, each with its own input, out of a file and a database: never at the value function alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from directory.test_field_types import SOURCES

from migrate.core.accounts import words_of
from migrate.directory.testing import Tally, read_all

Read = Callable[[Mapping[str, Any]], tuple[dict[str, tuple[str, ...]], Tally]]


@pytest.fixture(params=sorted(SOURCES))
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Read:
    """Reads cells of methods, by the id of their account, out of a source of each kind: the methods of each, and what was counted."""

    def read(cells: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], Tally]:
        rows = [{"account_id": name, "email": "x@example.com", "methods": cell} for name, cell in cells.items()]
        found, tally = read_all(SOURCES[request.param](tmp_path, rows))
        assert found["rejection"].dropna().tolist() == []
        return {row["account_id"]: words_of(row["methods"]) for row in found.to_dict("records")}, tally

    return read


LISTS = {
    "['sms', 'totp']": ("sms", "totp"),
    "nan": (),
    "NaN": (),
    "{NULL}": (),
    "[null]": (),
    "[None]": (),
    "sms\nhardwareOneTimePasscode\n": ("sms", "hardware_otp"),
    "sms\r\nhardwareOneTimePasscode\r\n": ("sms", "hardware_otp"),
    "sms;totp": ("sms", "totp"),
    '"sms;totp"': ("sms", "totp"),
    "sms , totp": ("sms", "totp"),
    "{sms,totp}": ("sms", "totp"),
}


def test_a_list_is_a_list_whoever_wrote_it(read: Read) -> None:
    found, tally = read({f"a{number}": cell for number, cell in enumerate(LISTS)})
    assert dict(zip(LISTS, found.values(), strict=True)) == LISTS
    assert not tally.unknown_words


# Microsoft's `methodsRegistered` and its predecessors, the default methods, MSOnline's, and what the portal shows; Okta's API and report.
WORDS = {
    "phone": ["mobilePhone", "Mobile phone"],
    "voice": ["alternateMobilePhone", "officePhone", "mobileCall", "alternateMobileCall", "voiceMobile", "voiceAlternateMobile",
              "voiceOffice", "TwoWayVoiceMobile", "TwoWayVoiceAlternateMobile", "TwoWayVoiceOffice", "Alternate Mobile Phone",
              "Office phone", "call"],
    "sms": ["sms", "mobileSMS", "smsSignIn", "OneWaySMS", "OneWaySms", "SMS Authentication"],
    "push": ["microsoftAuthenticatorPush", "appNotification", "microsoftAuthenticatorPasswordless", "push", "PhoneAppNotification",
             "Microsoft Authenticator app", "Microsoft Passwordless phone sign-in", "Okta Verify Push"],
    "totp": ["SoftwareOath", "google_otp",
             "softwareOneTimePasscode", "appCode", "oneTimePasscode", "oath", "PhoneAppOTP", "Software OATH token", "token:software:totp"],
    "hardware_otp": ["HardwareOath", "yubikey_token", "hardwareOneTimePasscode", "Hardware OATH token", "token:hardware"],
    "passkey": ["fido2SecurityKey", "fido2", "Fido2", "fido", "passKeyDeviceBound", "passKeyDeviceBoundAuthenticator",
                "passKeyDeviceBoundWindowsHello", "passKeySynced", "windowsHelloForBusiness", "macOsSecureEnclaveKey",
                "FIDO2 security key", "Windows Hello for Business", "FIDO2 (WebAuthn)", "webauthn", "u2f"],
    "certificate": ["certificateBasedAuthentication", "x509CertificateSingleFactor", "x509CertificateMultiFactor",
                    "Certificate-based authentication"],
    "external": ["externalAuthMethod"],
    "email_otp": ["email", "Email one-time passcode", "okta_email", "Email", "Email Authentication"],
    "": ["temporaryAccessPass", "Temporary Access Pass", "securityQuestion", "Security questions", "appPassword", "password", "Password",
         "qrCode", "none", "Password Authenticator", "okta_password"],
}  # fmt: skip


def test_the_words_of_microsoft_and_okta_are_known_without_a_profile(read: Read) -> None:
    words = {theirs: ours for ours, each in WORDS.items() for theirs in each}
    found, tally = read({f"a{number}": theirs for number, theirs in enumerate(words)})
    assert dict(zip(words, found.values(), strict=True)) == {theirs: (ours,) if ours else () for theirs, ours in words.items()}
    assert not tally.unknown_words


NEGATED = [
    "TOTP disabled",
    "No authenticator app",
    "SMS - TOTP disabled",
    "passkey...",
    "TOTP (off)",
    "TOTP, unverified",
    "Password app",
    "authenticatorAppNotConfigured",
]


def test_a_word_with_a_no_beside_it_is_one_unknown_word_and_counted(read: Read) -> None:
    found, tally = read({f"a{number}": word for number, word in enumerate(NEGATED)})
    assert set(found.values()) == {("other",)}
    assert dict(tally.unknown_words) == dict.fromkeys(NEGATED, 1)
