"""One script for each figure in the README, in processes that use memory and threads as the app does, unless they are marked plain."""

import os

from detection_core.process import settle

if "DETECTION_EXPLORER_PLAIN_PROCESS" not in os.environ:
    settle()
