"""The Batch tab: many images by one model."""
