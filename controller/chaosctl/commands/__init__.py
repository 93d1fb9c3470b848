"""One file a group of commands. The table is all that `chaosctl --help` needs, so that it need not load them."""

_HERE = __name__
RUN, LOOK, FLEET, ACCESS = "Run faults", "Look", "Hosts", "Access"

TABLE = (
    (RUN, "inject", "Inject a fault into chosen hosts, and undo it.", f"{_HERE}.inject:command"),
    (RUN, "plan", "Show who would be hit and why everyone else would not.", f"{_HERE}.inject:plan"),
    (RUN, "abort", "End an experiment, or everything at once.", f"{_HERE}.abort:command"),
    (RUN, "fence", "Show or lift what keeps new faults out after an abort of all.", f"{_HERE}.fence:command"),
    (LOOK, "status", "The fleet at a glance.", f"{_HERE}.status:command"),
    (LOOK, "list", "Experiments that run; --all: those that are over, too.", f"{_HERE}.experiments:list_command"),
    (LOOK, "show", "One experiment with every host.", f"{_HERE}.experiments:show"),
    (LOOK, "watch", "Follow an experiment to its end.", f"{_HERE}.watch:command"),
    (LOOK, "faults", "What can be injected, with every flag.", f"{_HERE}.faults:command"),
    (LOOK, "audit", "Who did what, when, to which hosts.", f"{_HERE}.audit:command"),
    (LOOK, "help", "Help on a command, on exit codes, on output.", f"{_HERE}.help:command"),
    (FLEET, "hosts", "List hosts; label, retire or accept one.", f"{_HERE}.hosts:command"),
    (FLEET, "enroll-token", "A token with which a host joins.", f"{_HERE}.access:enroll_token"),
    (ACCESS, "login", "Become an operator or viewer with a token.", f"{_HERE}.login:command"),
    (ACCESS, "login-token", "A token with which a person logs in.", f"{_HERE}.access:login_token"),
    (ACCESS, "revoke", "Take somebody's certificates back.", f"{_HERE}.access:revoke"),
)
