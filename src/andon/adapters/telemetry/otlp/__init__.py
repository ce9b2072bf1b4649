"""OpenTelemetry's wire: OTLP over HTTP, as protobuf and as JSON. Loaded when the first request comes."""
