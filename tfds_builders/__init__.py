"""Builders of radiograph shards: raw downloads in, TensorFlow Datasets in ArrayRecord files out."""
