"""A page to try a trained network on: drop a radiograph, see the findings."""
