"""Where everything is kept: the protocol, its backends, and in `urls` the choice of one."""
