"""The Evaluate tab: models on annotated images."""
