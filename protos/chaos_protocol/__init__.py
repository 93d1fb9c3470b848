"""What agent, controller and command line share: the protocol and how its values are read and written."""

VERSION = "0.1.0"
"""The project's, as in pyproject.toml. A constant, because asking importlib.metadata costs the daemon 2 MB."""
