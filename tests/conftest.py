"""For every test: whoever starts the runner in the background makes it, and all that it starts, deaf to Ctrl-C."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
