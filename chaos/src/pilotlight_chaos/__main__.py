"""`python -m pilotlight_chaos`."""

import sys

from .cli import main

sys.exit(main())
