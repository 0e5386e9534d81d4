"""Annotated images in the formats of COCO, YOLO and Pascal VOC, read and checked for training and evaluation."""
