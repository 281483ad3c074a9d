"""Google's job APIs over gRPC, in a process of their own: the clients' messages are heavy."""

import os

# What gRPC has to say of itself is no JSON, and not for the log; who wants it sets another level.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
