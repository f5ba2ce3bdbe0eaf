"""Cases, recordings and benchmarks that hold perfcrew to its claims."""
