"""A token in place of a password: XOAUTH2 for Microsoft 365 and Google Workspace, for an application and without a person (design §11)."""
