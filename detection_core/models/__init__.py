"""The models: the catalog, their weights, and the code that builds, loads and runs them."""
