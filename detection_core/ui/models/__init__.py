"""The Models tab: all models, and what their accuracy costs."""
