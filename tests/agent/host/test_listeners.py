"""Listening ports, from the kernel's own tables."""

from chaos_agent.host.listeners import listening, ports_of

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:0016 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:08AE 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 13 1 0 100
"""


def test_reads_both_families() -> None:
    """Only sockets that listen count; a connection's port is not one."""
    assert listening(iter([TCP, TCP6])) == {11: 22, 13: 2222}


def test_a_program_that_does_not_run_listens_nowhere() -> None:
    """Ports are those of processes of that name."""
    assert ports_of(lambda name: name == "no-such-program") == set()
