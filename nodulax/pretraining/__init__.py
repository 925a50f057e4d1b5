"""The training of the network that comes with nodulax, on implants in real radiographs."""
