"""The test's own killer: what is left in the line of a dead client is no moment of the next one."""

import subprocess
import sys

import pytest
from crash.killer import Killer

BODY = ("body", "after")


@pytest.fixture
def client() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, text=True)


def test_a_moment_of_a_client_that_is_gone_does_not_use_up_the_order_for_the_next_one(client: subprocess.Popen[str]) -> None:
    killer = Killer()
    killer.hunts(lambda: client)
    killer.comes(("connect", "before"))
    client.communicate()
    killer.order(BODY)
    killer.comes(BODY)  # read out of the line of who is gone, while the next client is not started yet

    following = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, text=True)
    killer.hunts(lambda: following)
    killer.comes(("connect", "before"))
    killer.comes(BODY)

    following.communicate()
    assert killer.kills == 1
    assert following.returncode == -9
