"""privacyIDEA, read through its API by an administrator who may only list users and tokens (docs/privacyidea.md)."""
