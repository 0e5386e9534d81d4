"""Any file of an image becomes upright RGB pixels, or one clear sentence. Imports nothing itself: `--help` needs file endings only."""
