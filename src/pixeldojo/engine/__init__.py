"""Work and news between processes: hints that something is due, and word that a job moved."""

from pixeldojo.engine.hints import Engine, Hint, open_engine

__all__ = ["Engine", "Hint", "open_engine"]
