"""Google's job APIs over gRPC, in a process of their own."""

import os

# gRPC's own messages are not JSON, so they stay out of the log unless a level is set.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
