"""A chain inside the process: blocks, transfers, reorganisations and outages, and no money in it.

keys.py     what an address and a key are here
shapes.py   blocks and transactions
state.py    who has what: carries transactions out, and takes them back
world.py    the chain itself, and all that one may do to it
wallet.py   our own transactions: planned, signed, read back
look.py     one tick of the scanner: the world against the books
adapter.py  the Chain Protocol over it
clock.py    what time it is there: it can be moved on
miner.py    makes a block every few seconds
storage.py  keeps it over a restart
"""
