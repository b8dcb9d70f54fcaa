"""Mail: from a notice's facts to a letter, and from a letter to a mail server's receipt (design §10, §11).

    facts ─compose→ letter ─send→ receipt

`facts` holds what a letter says about its account, `compose` writes the letter from the `templates`, and a transport (`maildir`, `smtp`)
hands it to a mail server. This room does not know the outbox: `migrate.delivery` decides what follows from a receipt.
"""
