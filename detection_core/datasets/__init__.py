"""Annotated images in COCO's format, read and checked for training and evaluation."""
