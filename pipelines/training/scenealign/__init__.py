"""Preference pairs of right and perturbed reasonings, by scene graphs, after SceneAlign (arXiv 2601.05600)."""
