"""Questions about shapes, made from random layers, answered by the library: `topics` asks, `question` grades."""
