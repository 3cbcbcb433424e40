"""The real hub and the real agent in one process, in a simulated world that a seed decides.

`python -m tests.simulator --seeds 50`, or `make simulate`.
"""
