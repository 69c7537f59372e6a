"""Training and evaluation of vision-language models on a finished dataset."""
