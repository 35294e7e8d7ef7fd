"""A file in, page records out: open, render, read (text layer, OCR), layout, passages."""
