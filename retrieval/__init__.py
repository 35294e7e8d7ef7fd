"""Encoders, Chinese lexical analysis, index adapters, search plan, answers and grounding of quotes."""
