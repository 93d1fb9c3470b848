"""The controller: decides who is hit and when, carries it out over the agents, and ends it all when it must."""
