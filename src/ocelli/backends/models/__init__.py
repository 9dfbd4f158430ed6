"""Vision-language models on this machine: which there are, how they get here, how they run."""
