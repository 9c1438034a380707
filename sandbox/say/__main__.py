"""`python -m sandbox.say`."""

import sys

from sandbox.say.cli import main

sys.exit(main())
