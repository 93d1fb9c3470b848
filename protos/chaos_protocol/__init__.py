"""What agent, controller and command line share: the protocol and how its values are read and written."""
