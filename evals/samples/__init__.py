"""The sample corpus: invented company documents, drawn by this package together with their ground truth."""
