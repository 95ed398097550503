"""WebSockets: rooms, and connections that neither a slow nor a lost client can hold up."""
