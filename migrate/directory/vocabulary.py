"""What identity products call a method: their word → ours (design §4).

`ALIASES` are understood in every source. `VENDORS` has the words of each product: of its API, its pages and its exports. Nearly all of them
are understood in every source, too; the few that may mean something else elsewhere (`ONLY_THERE`) need the product's profile.

Sources: Microsoft Graph `userRegistrationDetails`, `signIn`, `authenticationMethod` and MSOnline's `StrongAuthenticationMethods`; Okta's
Factors API and MFA usage report; Duo's Admin API and authentication log; Google's Reports API (login audit); Keycloak's credential types
and those of its SMS extensions; privacyIDEA's token types; AWS IAM and Cognito; Auth0's enrolments.
"""

from __future__ import annotations

from typing import Final

NO_STEP: Final = "none"
"""The meaning of a word that is no second step at all: it registers no method."""

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "sms": ("text", "texts", "text message", "text messages", "sms otp", "otp sms", "sms code", "sms passcode", "mobile sms", "sms text",
            "text sms", "sms mfa", "sms authentication", "sms one time passcode", "sms one time password"),
    "voice": ("call", "phone call", "voice call", "telephone call", "voice mobile", "office phone", "alternate mobile phone", "landline",
              "voice authentication", "voice call authentication"),
    "phone": ("mobile phone", "mobile", "telephone", "phone number", "cell phone", "sms or call", "sms or voice", "voice or text message",
              "text message or call", "phone authentication"),
    "totp": ("authenticator", "authenticator app", "totp app", "otp app", "app", "software token", "soft token", "software oath token",
             "software token mfa", "google authenticator", "token software totp", "time based otp", "hotp", "software totp", "app code",
             "mobile app code", "virtual mfa device", "one time passcode app", "mobile app", "phone app", "time based one time passcode",
             "time based one time password"),
    "push": ("microsoft authenticator", "microsoft authenticator app", "authenticator push", "push notification", "mobile push", "duo push",
             "verified duo push", "okta verify", "okta verify push", "google prompt", "mobile app notification", "app notification"),
    "passkey": ("passkeys", "fido", "fido2", "webauthn", "fido2 webauthn", "u2f", "fido u2f", "security key", "security keys",
                "fido2 security key", "platform", "windows hello", "windows hello for business", "touch id", "face id", "synced passkey",
                "device bound passkey", "platform authenticator", "security key or biometric"),
    "hardware_otp": ("hardware token", "hard token", "hardware oath token", "oath token", "yubikey otp", "yubikey", "rsa token", "securid",
                     "rsa securid", "hardware totp token", "symantec vip"),
    "certificate": ("cert", "smart card", "piv", "x509", "certificate based authentication", "smart card piv"),
    "external": ("external mfa", "external authentication", "external authentication method", "external auth method", "duo security",
                 "identity provider authenticator", "idp authenticator", "claims provider", "on prem mfa"),
    "email_otp": ("email", "mail", "email code", "email link", "email authentication", "email authenticator", "email one time passcode",
                  "email one time password"),
    "backup_code": ("backup codes", "recovery code", "recovery codes", "scratch code", "scratch codes", "printed codes", "bypass code",
                    "bypass codes"),
    "unknown": ("2fa", "mfa", "2sv", "two step verification", "two factor authentication"),
    NO_STEP: ("password", "passphrase", "app password", "security question", "security questions", "temporary pass",
              "temporary access pass", "temporary access code", "qr code", "qr code pin", "remembered device", "trusted device",
              "previously satisfied", "satisfied by token"),
}  # fmt: skip
"""Our word → what others call it. The last row lists words for no second step: they register nothing and are not counted."""

YES: Final = ("enabled", "on", "active", "yes", "true", "registered", "enrolled", "enforced")
"""Words for a second step of an unnamed kind: alone they are `unknown`; together with a method they add nothing."""

NO: Final = (
    "no", "off", "false", "disabled", "inactive", "null", "n/a", "-", "not registered", "not enrolled", "not set up", "not enabled",
    "not active", "not activated", "not configured", "not verified", "unverified", "not confirmed", "unconfirmed", "not available",
    "not capable", "never", "never enrolled", "never registered", "deactivated",
    "unregistered", "unenrolled", "pending", "pending activation",
    "expired", "revoked", "removed", "deleted", "suspended", "blocked", "locked",
    "not set", "unset", "none registered", "no methods", "no methods registered", "keine", "aucun", "aucune", "ninguno", "ninguna",
    "nessuno", "nessuna", "nenhum", "nenhuma", "geen", "brak",
    "nein", "aus", "deaktiviert", "inaktiv", "gesperrt", "nicht registriert", "non", "désactivé", "inactif", "désactivée", "no activo",
    "desactivado", "inactivo", "disattivato", "disabilitato", "inattivo", "não", "desativado", "inativo", "nee", "uitgeschakeld",
    "inactief", "nie", "wyłączone", "nieaktywne",
)  # fmt: skip
"""Words that say no. Together with a method their meaning is not clear, so the whole text is one unknown word."""

_GRAPH_TYPES: Final = {
    "phone": "phone", "microsoft authenticator": "push", "passwordless microsoft authenticator": "push", "software oath": "totp",
    "hardware oath": "hardware_otp", "fido2": "passkey", "windows hello for business": "passkey", "platform credential": "passkey",
    "email": "email_otp", "password": NO_STEP, "temporary access pass": NO_STEP, "qr code pin": NO_STEP, "external": "external",
    "x509 certificate": "certificate",
}  # fmt: skip
"""The types of Graph's `authenticationMethod`, without the prefix `#microsoft.graph.` and the suffix `AuthenticationMethod`."""

VENDORS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "entra": {
        "sms": ("sms", "mobileSMS", "smsSignIn", "OneWaySMS", "TwoWaySMS", "Text message", "Text message to phone"),
        "voice": ("alternateMobilePhone", "officePhone", "mobileCall", "alternateMobileCall", "voiceMobile", "voiceAlternateMobile",
                  "voiceOffice", "TwoWayVoiceMobile", "TwoWayVoiceAlternateMobile", "TwoWayVoiceOffice", "Phone call", "Voice call",
                  "Phone call approval (Authentication phone)", "Phone call approval (Alternate phone)",
                  "Phone call approval (Office phone)", "Voice", "Call to phone"),
        "phone": ("mobilePhone", "mobilePhoneAndSMS"),
        "push": ("microsoftAuthenticatorPush", "appNotification", "microsoftAuthenticatorPasswordless", "push", "PhoneAppNotification",
                 "Mobile app notification", "Microsoft Authenticator app", "Microsoft Passwordless phone sign-in",
                 "Passwordless phone sign-in", "Microsoft Authenticator (push notification)", "Microsoft Authenticator Lite",
                 "Microsoft Authenticator in passwordless mode", "Microsoft Authenticator (phone sign-in)", "Authenticator Lite",
                 "Microsoft Authenticator (notification)", "Notification through mobile app"),
        "totp": ("softwareOneTimePasscode", "appCode", "oneTimePasscode", "oath", "PhoneAppOTP", "OATH verification code",
                 "Software OATH token", "Third-party software OATH token", "Authenticator App", "SoftwareOath", "Software OATH tokens",
                 "Third-party software OATH tokens", "Authenticator app or hardware token - code",
                 "Verification code from mobile app or hardware token"),
        "hardware_otp": ("hardwareOneTimePasscode", "Hardware OATH token", "HardwareOath", "Hardware OATH tokens",
                         "Hardware OATH tokens (Preview)"),
        "passkey": ("fido2SecurityKey", "fido2", "fido", "passKeyDeviceBound", "passKeyDeviceBoundAuthenticator",
                    "passKeyDeviceBoundWindowsHello", "passKeySynced", "windowsHelloForBusiness", "macOsSecureEnclaveKey",
                    "FIDO2 security key", "Windows Hello for Business", "Passkey (FIDO2)", "Passkey (Microsoft Authenticator)",
                    "Passkey (Windows Hello)", "Passkey (device-bound)", "Passkey (synced)", "Passkey (other device-bound)",
                    "Platform Credential for macOS", "Platform Credential", "Mac Secure Enclave key", "Passkeys (FIDO2)",
                    "Passkey in Microsoft Authenticator"),
        "certificate": ("certificateBasedAuthentication", "x509CertificateSingleFactor", "x509CertificateMultiFactor", "x509Certificate",
                        "Certificate-based authentication"),
        "external": ("externalAuthMethod", "External authentication method", "External authentication methods", "External MFA"),
        "email_otp": ("email", "Email OTP"),
        NO_STEP: ("temporaryAccessPass", "Temporary Access Pass (TAP)", "securityQuestion", "Security questions", "appPassword", "password",
                  "qrCode", "QR code (preview)",
                  "Previously satisfied", "Satisfied by token"),
    },
    "okta": {
        "sms": ("sms", "SMS Authentication"),
        "voice": ("call", "Voice Call Authentication"),
        "phone": ("Phone", "Phone Authentication", "Phone Authenticator", "phone_number"),
        "email_otp": ("email", "Email Authentication", "okta_email"),
        "push": ("push", "signed_nonce", "Okta Verify", "Okta Verify Push", "Okta FastPass", "FastPass",
                 "Custom Push Authenticator", "custom_app", "Okta Verify Authenticator"),
        "totp": ("token:software:totp", "Google Authenticator", "Okta Verify TOTP", "Okta Verify OTP", "Custom TOTP", "Custom OTP",
                 "google_otp"),
        "hardware_otp": ("token:hardware", "token", "token:hotp", "YubiKey", "YubiKey Authenticator", "YubiKey OTP", "RSA SecurID",
                         "Symantec VIP", "yubikey_token"),
        "passkey": ("u2f", "webauthn", "FIDO2 (WebAuthn)", "Security Key or Biometric", "Security Key or Biometric Authenticator",
                    "FIDO U2F", "U2F Security Key (FIDO 1.0)", "Windows Hello (Web Authn)", "Passkeys (FIDO2 WebAuthn)"),
        "certificate": ("Smart Card", "Smart Card Authenticator", "smart_card_idp"),
        "external": ("web", "claims_provider", "Duo Security", "On-Prem MFA", "IdP Authenticator", "external_idp", "duo"),
        NO_STEP: ("question", "Security Question", "Security Question Authenticator", "Password", "Password Authenticator", "okta_password",
                  "Temporary Access Code", "tac"),
    },
    "duo": {
        "sms": ("sms", "SMS passcode", "SMS passcodes", "sms_passcode"),
        "voice": ("phone", "phone_call", "Phone call", "Phone callback", "Landline"),
        "push": ("push", "duo_push", "Duo Push", "Verified Duo Push", "verified_push", "Duo Mobile"),
        "totp": ("mobile_otp", "duo_mobile_passcode", "Duo Mobile passcode", "Duo Mobile passcodes"),
        "hardware_otp": ("h6", "h8", "yk", "d1", "hardware_token", "Hardware token", "digipass_go_7_token", "yubikey_code",
                         "yubikey_passcode", "YubiKey passcode"),
        "passkey": ("webauthn_credential", "WebAuthn credential", "u2f_token", "U2F token", "webauthn_security_key",
                    "webauthn_chrome_touch_id", "Security key", "Touch ID", "Roaming authenticator", "Platform authenticator"),
        "backup_code": ("bypass_code", "Bypass code"),
        NO_STEP: ("auto", "remembered_device", "trusted_network", "trusted_device"),
    },
    "google": {
        "phone": ("idv_preregistered_phone", "idv_any_phone", "Voice or text message", "Text message or voice call"),
        "totp": ("google_authenticator", "offline_otp", "Authenticator app"),
        "push": ("google_prompt", "Google prompt", "assistant_approval"),
        "passkey": ("security_key", "Security key", "Passkey", "userless_fido"),
        "hardware_otp": ("security_key_otp",),
        "email_otp": ("idv_any_email", "idv_preregistered_email", "access_to_preregistered_email"),
        "backup_code": ("backup_code", "Backup codes"),
        NO_STEP: ("password", "captcha", "login_location", "knowledge_employee_id", "knowledge_preregistered_email",
                  "knowledge_preregistered_phone", "saml", "oidc"),
    },
    "keycloak": {
        "sms": ("mobile-number", "mobile_number", "phone-otp", "sms-authenticator"),
        "totp": ("otp", "totp", "hotp"),
        "push": ("APP_CREDENTIAL",),
        "passkey": ("webauthn", "webauthn-passwordless"),
        "email_otp": ("email-authenticator", "email-otp"),
        "backup_code": ("recovery-authn-codes",),
        NO_STEP: ("password", "nb-trusted-device"),
    },
    "privacyidea": {
        "sms": ("sms",),
        "totp": ("totp", "hotp", "daypassword", "motp", "ocra"),
        "push": ("push", "tiqr"),
        "passkey": ("webauthn", "u2f", "passkey"),
        "hardware_otp": ("yubikey", "yubico", "vasco", "daplug"),
        "certificate": ("certificate",),
        "email_otp": ("email",),
        "backup_code": ("paper", "tan"),
        "unknown": ("radius", "remote"),
        "other": ("4eyes",),
        NO_STEP: ("indexedsecret", "question", "registration", "pw", "spass", "sshkey", "applspec", "deprecated"),
    },
    "aws": {
        "sms": ("SMS_MFA", "SMS_OTP", "SMS"),
        "totp": ("SOFTWARE_TOKEN_MFA", "Virtual MFA device", "Virtual MFA", "virtual"),
        "hardware_otp": ("Hardware TOTP token", "Hardware MFA device", "Hardware MFA"),
        "passkey": ("WEB_AUTHN", "U2F security key", "Passkey or security key"),
        "email_otp": ("EMAIL_OTP",),
    },
    "auth0": {
        "push": ("push-notification", "guardian"),
        "totp": ("otp",),
        "passkey": ("webauthn-roaming", "webauthn-platform"),
        "backup_code": ("recovery-code",),
    },
}  # fmt: skip
"""Product → our word → theirs."""

for _name, _ours in _GRAPH_TYPES.items():
    VENDORS["entra"][_ours] += tuple(f"{_prefix}{_name} authentication method" for _prefix in ("", "microsoft.graph.", "#microsoft.graph."))

ONLY_THERE: Final[dict[str, tuple[str, ...]]] = {
    "okta": ("token", "web", "duo", "tac", "custom_app"),
    "duo": ("phone", "auto"),
    "aws": ("virtual",),
    "keycloak": ("otp",),
    "auth0": ("otp",),
    "privacyidea": ("registration", "deprecated", "remote", "paper"),
}
"""Words that are understood only in sources of their product, because elsewhere they may mean something else."""
