"""One file a rule; `..rule.registry` finds them by their names."""
