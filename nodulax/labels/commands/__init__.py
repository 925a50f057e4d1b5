"""The sub-commands of `nodulax labels`: their arguments, what they call, and what they print."""
