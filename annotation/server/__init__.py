"""What runs inside the Label Studio server, in its own environment; nothing else of ours is on its path."""
