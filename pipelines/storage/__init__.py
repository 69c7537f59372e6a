"""Where a build keeps things: blobs, cached inferences, shards and the manifest."""
