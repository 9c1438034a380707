"""SIGKILL at every journal boundary: a stage is run forward and back, dies at one point, and somebody else finishes it."""
