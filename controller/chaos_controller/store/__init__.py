"""State on disk: hosts, tokens, certificates, plans, experiments, aborts and the audit log, in SQLite or PostgreSQL."""
