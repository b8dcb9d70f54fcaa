"""Tokens for an application, without a person: how it proves itself, and the token that is kept and renewed (RFC 6749 §4.4).

The mail server and the directory both sign in with such tokens; each turns what goes wrong into a paragraph of its own.
"""
