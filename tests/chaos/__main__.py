"""``python -m tests.chaos --seed 1 2 3 --turns 200``: the figures of a talk for each seed."""

from __future__ import annotations

import argparse

import realtime_sync as rt

from .talk import talk

parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
parser.add_argument("--seed", type=int, nargs="+", default=[1])
parser.add_argument("--turns", type=int, default=200)
parser.add_argument(
    "--resume",
    nargs="?",
    const="fail",
    choices=["fail", "ask_again"],
    help="let the session itself go on, by connect(resume=), and what becomes of replies that had begun",
)
arguments = parser.parse_args()
options = {"resume": rt.Resume(in_flight=arguments.resume)} if arguments.resume else {}
for seed in arguments.seed:
    print(f"seed {seed}: {talk(seed, arguments.turns, **options)}")
