"""The Models tab: what models there are and which one suits."""
