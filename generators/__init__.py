"""Where images and texts come from: corpora on disk, generative models, and the embedded closed world."""
