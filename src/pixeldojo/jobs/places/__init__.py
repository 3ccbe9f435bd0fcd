"""Places at upstreams: how many jobs an account there may have at a time, and whose turn it is when one is free."""
