"""SIGKILL at every journal boundary: a stage dies at one point, somebody else finishes it, the ends are compared."""
