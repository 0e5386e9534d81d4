"""`python -m detection_core`: the same as the page, from a terminal."""

import sys

from detection_core.cli.main import main

sys.exit(main())
