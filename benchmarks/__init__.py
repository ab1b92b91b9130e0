"""What tracing costs. `make bench` runs `python -m benchmarks`."""
