"""The pure half of the node: state machines and arithmetic, without I/O, clock or randomness."""
