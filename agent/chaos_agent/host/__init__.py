"""Everything that touches Linux: netlink, bpf(2), processes, files. Nothing else in the agent does."""
