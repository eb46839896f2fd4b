"""Pages for people: HTML written on the server, without scripts, and with nothing from other hosts."""
