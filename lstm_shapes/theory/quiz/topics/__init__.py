"""The questions, one file a topic. Each file ends with its table: from which level, and who makes the question."""
