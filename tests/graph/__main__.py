"""The fake of Graph, by hand: `python -m tests.graph --people 3000`, and the configuration to read it with.

While it runs, `POST /fake/…` changes the tenant: `registers?user=UPN&method=passKeySynced`, `removes?user=UPN&method=mobilePhone`,
`advance?hours=36`, `licensed?value=no`, `grant?permissions=User.Read.All,AuditLog.Read.All`.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cryptography import x509

from .exchange import Exchange
from .people import believable
from .server import Fake


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.graph", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=300, help="how many there are (300)")
    parser.add_argument("--seed", type=int, default=1, help="the same number makes the same people (1)")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (any that is free)")
    parser.add_argument("--certificate", type=Path, help="the PEM file that was uploaded to the registration, instead of a secret")
    parser.add_argument("--mailbox", metavar="ADDRESS", help="run a mail server, too, that lets the application send as this address")
    parser.add_argument("--letters", type=Path, default=Path("letters"), help="the folder for what that server takes (letters)")
    parser.add_argument("--no-premium", action="store_true", help="a tenant without P1")
    parser.add_argument("--without", action="append", default=[], metavar="PERMISSION", help="not consented; may be repeated")
    parser.add_argument("--migrating", action="store_true", help="its policy of authentication methods is not complete")
    parser.add_argument("--opted-out", action="store_true", help="of Microsoft's change of September")
    parser.add_argument("--unhurried", action="store_true", help="throttle nobody")
    chosen = parser.parse_args()
    tenant = believable(chosen.people, chosen.seed)
    tenant.licensed, tenant.opted_out = not chosen.no_premium, chosen.opted_out
    tenant.migration = "migrationInProgress" if chosen.migrating else "migrationComplete"
    with Fake(tenant, port=chosen.port) as fake:
        fake.consented[tenant.id] -= set(chosen.without)
        if chosen.unhurried:
            fake.throttle.LIMITS = dict.fromkeys(fake.throttle.LIMITS, (10**9, 10.0))  # type: ignore[misc]
        proof: dict[str, Any] = {"client_secret": fake.secret}
        if chosen.certificate:
            fake.certificate = x509.load_pem_x509_certificate(chosen.certificate.read_bytes()).public_key()
            proof = {"certificate": {"file": "entra.pem"}}
        tables = {"directory": fake.settings(roles=["Global Administrator"], **proof)}
        with Exchange(fake, chosen.mailbox, chosen.letters) if chosen.mailbox else nullcontext() as server:
            if server is not None:
                tables |= server.settings(**proof)
            for table, values in tables.items():
                print(f"[{table}]")
                for name, value in values.items():
                    print(f"{name} = {written(value)}")
            print("# Stop it with Ctrl-C.", flush=True)
            try:
                while True:
                    time.sleep(1)
            except KeyboardInterrupt:
                for each in fake.violations[:20]:
                    print("not as described:", each)


def written(value: Any) -> str:
    """A setting as TOML writes it."""
    return f"{{ file = {json.dumps(value['file'])} }}" if isinstance(value, dict) else json.dumps(value)


if __name__ == "__main__":
    main()
