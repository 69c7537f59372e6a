"""The Beam pipelines, and everything that is run as `python -m pipelines.X`."""
