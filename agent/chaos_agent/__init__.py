"""The daemon on each host: it injects, holds, measures and undoes faults."""
