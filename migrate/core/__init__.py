"""The pure middle: accounts, their standing, what changed, which stage is due, who is told what. No ledger, no mail, no clock."""
