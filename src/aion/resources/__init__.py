"""The parts of the API, one module each."""
