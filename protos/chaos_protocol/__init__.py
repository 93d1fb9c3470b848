"""What agent, controller and command line share: the protocol and how its values are read and written."""

VERSION = "0.1.0"
"""Of the whole project; its package takes it from here. Read as a constant: importlib.metadata costs 2 MB."""
