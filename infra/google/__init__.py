"""Google's job APIs, independent of the transport (HTTP or gRPC)."""
