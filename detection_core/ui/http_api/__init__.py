"""The HTTP API `/api/v1`: detect, compare, track and list models with one request each, described by OpenAPI."""
