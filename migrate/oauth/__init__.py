"""Access tokens for an application, without a person: how it proves its identity, and how a token is kept and renewed (RFC 6749 §4.4).

We sign in with such tokens to mail servers and to directories. Each of the two words its own errors.
"""
