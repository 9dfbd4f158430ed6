"""OpenAI's Responses, which newer clients speak by default."""
