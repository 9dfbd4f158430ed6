"""What operators see of a model that runs here."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

MODE: Final = "livemostrecent"
UP = Gauge("ocelli_model_up", "Whether the model answers", ["model"], multiprocess_mode=MODE)
COLD_START = Gauge(
    "ocelli_model_cold_start_seconds",
    "From the start of its process until it answered",
    ["model"],
    multiprocess_mode=MODE,
)
MEMORY = Gauge(
    "ocelli_model_memory_bytes",
    "What its process holds in memory, without that of graphics cards",
    ["model"],
    multiprocess_mode=MODE,
)
SPEED = Gauge(
    "ocelli_model_tokens_per_second",
    "How fast it wrote its last answer",
    ["model"],
    multiprocess_mode=MODE,
)
TOKENS = Counter("ocelli_model_tokens", "Tokens that it read and wrote", ["model", "kind"])
REQUESTS = Counter("ocelli_model_requests", "By how they ended", ["model", "outcome"])
RESTARTS = Counter("ocelli_model_restarts", "How often its process died", ["model"])
