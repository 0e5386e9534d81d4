"""The Live tab: the webcam, frame by frame."""
