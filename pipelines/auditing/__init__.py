"""What `python -m pipelines.audit` checks of a written dataset: one file a kind of check."""
