"""The Detect tab: one image, explored."""
