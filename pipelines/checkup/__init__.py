"""What `python -m pipelines.doctor` looks at before a build: one module a matter, each a list of findings."""
