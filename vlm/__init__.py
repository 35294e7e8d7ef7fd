"""Eyes and voice: vision-language models behind one protocol."""
