"""What an event costs, side by side with other ways to receive it: ``python -m benchmarks``, see docs/benchmarks.md."""
