"""What `python -m pipelines.evaluate` measures of trained models: one file a kind of measure."""
