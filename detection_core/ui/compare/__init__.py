"""The Compare tab: several models on one image."""
