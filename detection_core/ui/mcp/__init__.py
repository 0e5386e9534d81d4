"""Tools for AI assistants, over the Model Context Protocol: detect, compare and list models."""
