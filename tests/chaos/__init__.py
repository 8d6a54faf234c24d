"""Long talks over a connection that fails, by a seed: what must hold however it fails.

``python -m tests.chaos --seed 1 --turns 200`` prints the figures; ``tests/test_chaos.py`` has short runs.
"""
