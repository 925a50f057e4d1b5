"""From shards to batches: read, preprocess once, cache, augment, batch."""
