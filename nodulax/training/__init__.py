"""One training step and what a run keeps beside it: losses, optimizer, logs, workdir."""
