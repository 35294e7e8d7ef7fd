"""What vision models are asked to do: plain results out, nothing of pages or indexes known."""
