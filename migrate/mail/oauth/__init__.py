"""Signing in with a token instead of a password: XOAUTH2 for Microsoft 365 and Google Workspace, as an application (design §11)."""
