"""`python -m pellucid` is the `pellucid` command."""

import sys

from pellucid.cli import main

sys.exit(main())
