"""`python -m migrate` is the `migrate` command."""

import sys

from migrate.cli import main

sys.exit(main())
