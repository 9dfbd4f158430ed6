"""What is typed: commands, their arguments and options. What they do is in the modules beside."""
