"""Preference pairs of right and perturbed reasonings, told apart by a scene graph (after SceneAlign, arXiv 2601.05600)."""
