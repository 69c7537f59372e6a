"""The stages of a build: one PTransform a file, in the order the data meets them."""
