"""Microsoft Entra ID, read through Microsoft Graph by an application that may only read (docs/entra.md)."""
