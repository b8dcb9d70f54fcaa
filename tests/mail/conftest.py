from __future__ import annotations

import pytest
from mail.post import campaign, mail

from migrate.mail.compose import Composer


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer(mail(), campaign())
