"""One script for each figure in the README, in processes that use memory and threads as the app does, unless they are marked plain."""

import os

from detection_core.process import configure_process

# Set only while a plain process is started, see `plain`.
PLAIN = "DETECTION_EXPLORER_PLAIN_PROCESS"

if PLAIN not in os.environ:
    configure_process()
