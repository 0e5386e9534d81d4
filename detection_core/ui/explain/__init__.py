"""The mode Explain of the Detect tab: why there is an object, why there is none, and what happened in between."""
