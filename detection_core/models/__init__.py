"""From a model's key to a module that is ready to run: what models there are, their weights, loading and running them."""
