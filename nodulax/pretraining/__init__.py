"""The training of the network bundled with nodulax, on implants in real radiographs."""
