"""One account's story, and the campaign at a glance."""
