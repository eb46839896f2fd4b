"""Who knows something against an address."""
