"""``python -m tests.chaos --seed 1 2 3 --turns 200``: the figures of a talk for each seed."""

from __future__ import annotations

import argparse

from .talk import talk

parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
parser.add_argument("--seed", type=int, nargs="+", default=[1])
parser.add_argument("--turns", type=int, default=200)
parser.add_argument("--resume", action="store_true", help="let the session itself go on, by connect(resume=True)")
arguments = parser.parse_args()
options = {"resume": True} if arguments.resume else {}
for seed in arguments.seed:
    print(f"seed {seed}: {talk(seed, arguments.turns, **options)}")
