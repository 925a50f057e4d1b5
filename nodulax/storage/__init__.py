"""Folders in object storage, worked on as copies on disk."""
