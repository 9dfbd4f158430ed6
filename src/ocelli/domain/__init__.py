"""What Ocelli is about, with no I/O, no framework and no driver."""
