"""`pellucid` on a machine with a wrong clock: how many seconds it is ahead, then the words for `pellucid`."""

import sys
import time

from pellucid.cli import main

ahead, right_time = float(sys.argv.pop(1)), time.time
time.time = lambda: right_time() + ahead
sys.exit(main())
