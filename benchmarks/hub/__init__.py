"""What the benchmarks of `hf:` share: data, cases, and how they are measured."""
