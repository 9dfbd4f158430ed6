"""What was asked for and takes a while: how far it is, what failed and why."""
