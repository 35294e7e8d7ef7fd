"""InternVL in process: original and native checkpoints, batched page by page on one GPU (or a CPU, if small)."""
