"""Many orders while everything that can die dies: the parts, who orders, and the verdict.

`python -m tests.faults.loss --orders 100000 --seed 1`, or `make loss`.
"""
