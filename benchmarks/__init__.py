"""The scripts behind the README's figures, which use memory and threads as the app does unless a process is marked plain."""

import os

from detection_core.process import configure_process

# Set only while a plain process starts, see `plain`.
PLAIN = "DETECTION_EXPLORER_PLAIN_PROCESS"

if PLAIN not in os.environ:
    configure_process()
