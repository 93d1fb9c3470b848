"""Network faults: what is matched, how it is diverted, and the engines it is diverted to."""
