"""Builders that turn raw downloads into radiograph shards, TensorFlow Datasets in ArrayRecord."""
