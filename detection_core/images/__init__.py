"""Reading image files as upright RGB. This file imports nothing, so that `--help` starts quickly."""
