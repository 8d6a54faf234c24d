"""From the socket to the handlers: the reader thread, the queue that it fills, and what empties it."""
