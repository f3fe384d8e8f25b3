"""Questions about shapes, made from random layers and answered by the library itself: `topics` asks, `question` grades."""
