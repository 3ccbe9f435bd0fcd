"""What the operator sees in figures: counters of one process (`meters`), facts of the whole (`installation`)."""
