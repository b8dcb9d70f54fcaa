"""The pure middle: accounts, their standing, their changes, the stage that is due, the letters to send. No ledger, no mail, no clock."""
