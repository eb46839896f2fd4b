"""The node's own contracts: sources, and the artifact compiled from them.

`contracts.json` is made from the `.sol` files beside it; a test recompiles
them and compares every byte.
"""
