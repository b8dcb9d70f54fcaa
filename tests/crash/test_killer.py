"""The test's own killer: what is left in the line of a dead client is no moment of the next one."""

import subprocess
import sys

from crash.killer import Killer

BODY = ("body", "after")


def client() -> subprocess.Popen[str]:
    """A process that goes on until its input ends."""
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, text=True)


def test_a_moment_of_a_client_that_is_gone_does_not_use_up_the_order_for_the_next_one() -> None:
    killer = Killer()
    gone = killer.hunts(client)
    killer.comes(("connect", "before"))
    gone.communicate()
    killer.order(BODY)
    killer.comes(BODY)  # read out of the line of who is gone, while the next client is not started yet

    following = killer.hunts(client)
    killer.comes(("connect", "before"))
    killer.comes(BODY)

    following.communicate()
    assert killer.kills == 1
    assert following.returncode == -9
