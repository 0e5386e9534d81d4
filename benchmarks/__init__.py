"""One script for each figure in the README, in processes that use memory and threads as the app does."""

from detection_core.process import settle

settle()
