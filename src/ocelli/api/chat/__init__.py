"""Chat completions in the shape that OpenAI's clients speak."""
