"""The laboratory: a real chain, a real compiler and misbehaving servers for tests.

Set it up once with `npm ci --ignore-scripts` in this folder.
"""
