"""Mail: from a notice's facts to a letter, and from a letter to a mail server's receipt (design §10, §11).

    facts ─compose→ letter ─send→ receipt

`kinds` says what may be said to whom, `facts` what a letter says about its account, `compose` writes it from the `templates`, and a
transport (`maildir`, `smtp`) hands it over. Nothing here knows the outbox: what becomes of a receipt is the delivery's business.
"""
