"""Conversations with the local models: findings become answers, without a language model."""
