"""Datasets in, numbers out (DESIGN section 7), benchmarks, and the sample corpus."""
