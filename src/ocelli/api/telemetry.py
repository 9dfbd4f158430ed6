"""What FastAPI is told about telemetry of its own: that there is to be none.

It goes where the environment says (``FASTAPI_OTEL_AUTO_CONFIGURE``, or a tracer provider that
another package sets), with whole addresses, their queries, and the messages of errors in it. Ours
(``api/middleware.py``) has none of these, and goes where the settings say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
