-- The trace that a delivery is a part of, where traces are made: traceparent and tracestate.
ALTER TABLE webhook_deliveries ADD COLUMN trace_context jsonb NOT NULL DEFAULT '{}';
