"""Builder of a hospital's own radiographs."""
