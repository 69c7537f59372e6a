"""Train the four models of tinyworld from scratch: `python -m generators.tinyworld.train`."""
