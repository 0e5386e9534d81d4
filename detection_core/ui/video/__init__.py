"""The Video tab: a video file, detected, tracked and annotated."""
