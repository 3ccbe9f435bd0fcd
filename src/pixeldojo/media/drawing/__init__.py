"""The parts a scene is made of: the words that choose it, its colours, its layers."""
