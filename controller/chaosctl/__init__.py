"""The command line and the Python client: speaks the controller's API and nothing more."""
