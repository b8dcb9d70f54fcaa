from __future__ import annotations

import pytest
from demo.worlds import Lived, live


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return live(tmp_path_factory.mktemp("world") / "directory.db")
