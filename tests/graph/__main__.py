"""The fake of Graph, by hand: `python -m tests.graph --people 3000`, and the configuration to read it with.

While it runs, `POST /fake/…` changes the tenant: `registers?user=UPN&method=passKeySynced`, `removes?user=UPN&method=mobilePhone`,
`advance?hours=36`, `licensed?value=no`, `grant?permissions=User.Read.All,AuditLog.Read.All`.
"""

from __future__ import annotations

import argparse
import time

from .people import believable
from .server import Fake


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.graph", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=300, help="how many there are (300)")
    parser.add_argument("--seed", type=int, default=1, help="the same number makes the same people (1)")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (any that is free)")
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
        print("[directory]")
        for name, value in fake.settings().items():
            print(f'{name} = "{value}"')
        print("# Stop it with Ctrl-C.", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            for each in fake.violations[:20]:
                print("not as described:", each)


if __name__ == "__main__":
    main()
