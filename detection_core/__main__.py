"""`python -m detection_core`: the command line."""

import sys

from detection_core.cli.main import main

sys.exit(main())
