"""The benchmark: prints figures beside their targets, and judges nothing. `python -m tests.bench [FIGURE ...]`."""
