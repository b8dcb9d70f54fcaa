"""A mail server that counts what it took, and shoots its client at chosen moments; the client is the installed command."""

from __future__ import annotations

import email
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from crash.doomed import Command
from mail.scripted_smtp import _USUAL, OFFERS, ScriptedSmtp

Victim = TypeVar("Victim", bound=subprocess.Popen[str] | Command)

VERBS = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "quit")
MOMENTS = tuple((verb, when) for verb in VERBS for when in ("before", "after"))
"""Around every verb of SMTP: before the server answers it, and after."""
ONCE_A_CONNECTION = ("connect", "ehlo", "starttls", "auth")


@dataclass
class Killer:
    """Holds the client and the order to kill: at the n-th time that a moment comes. `kills` counts the shots that hit."""

    victims: Sequence[subprocess.Popen[str] | Command] = ()
    kills: int = 0
    _order: tuple[tuple[str, str], int] | None = None
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _line: threading.local = field(default_factory=threading.local)

    def order(self, moment: tuple[str, str] | None, nth: int = 1) -> None:
        with self._turn:
            self._order = (moment, nth) if moment else None

    def hunts(self, start: Callable[[], Victim]) -> Victim:
        """Starts a client. No moment comes before it is known whom to shoot."""
        with self._turn:
            victim = start()
            self.victims = [victim]
            return victim

    def comes(self, moment: tuple[str, str]) -> None:
        """A moment has come; who is shot at it is dead before the server goes on.

        Called in the thread of the connection. What a dead client still had in its line is no moment: the server may read it while the next
        client starts, or before, when the order for the next one is already given.
        """
        with self._turn:
            if moment == ("connect", "before"):
                self._line.victims = self.victims
            if self._line.victims is not self.victims or self._order is None or self._order[0] != moment or not self._somebody_lives():
                return
            nth = self._order[1] - 1
            self._order = (moment, nth) if nth else None
            if nth == 0:
                self.shoot()
                self._turn.notify_all()

    def _somebody_lives(self) -> bool:
        return any(victim.poll() is None for victim in self.victims)

    def hold(self) -> None:
        """No letter is taken before an ordered moment of a connection has come: else one quick connection takes them all, and the second,
        on which the moment is to come, is never opened."""
        with self._turn:
            self._turn.wait_for(lambda: self._order is None or self._order[0][0] not in ONCE_A_CONNECTION, 60)

    def shoot(self) -> None:
        for victim in self.victims:
            if victim.poll() is None:
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                self.kills += 1


def deadly_smtp(killer: Killer, tls: ssl.SSLContext | None = None, **answers: Any) -> ScriptedSmtp:
    """A scripted server that tells the killer of every moment. Other answers may be given, as for ScriptedSmtp, for verbs not in VERBS."""
    scripts: dict[str, Any] = {}
    for verb in VERBS:
        usual = OFFERS if verb == "ehlo" and tls else _USUAL[verb]
        said = usual if isinstance(usual, tuple) else (usual,)
        scripts[verb] = (lambda verb=verb: killer.comes((verb, "before")), *said, lambda verb=verb: killer.comes((verb, "after")))
    scripts["dot"] = (killer.hold, *scripts["dot"])
    return ScriptedSmtp(tls, **scripts | answers)


def migrate(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The installed command, started."""
    return subprocess.Popen(
        [sys.executable, "-m", "migrate", "--config", str(folder / "config.toml"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def shot_at_random(killer: Killer, after: float, rng: random.Random) -> threading.Timer:
    """Kills whoever is there at a random moment within so many seconds from now."""
    timer = threading.Timer(rng.uniform(0, after), killer.shoot)
    timer.start()
    return timer


def taken(server: ScriptedSmtp) -> Counter[str]:
    """Reference → how many letters whose end arrived: what a mailbox may have got."""
    return Counter(str(email.message_from_bytes(message)["X-Migrate-Reference"]) for message in list(server.messages))


def wait_until(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
