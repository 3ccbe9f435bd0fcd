"""From settings to addresses to services to a running node: the only folder that wires, and it holds no rule."""

from pixeldojo.bootstrap.node import Node, open_node, prepare_embedded

__all__ = ["Node", "open_node", "prepare_embedded"]
