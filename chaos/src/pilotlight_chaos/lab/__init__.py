"""Where experiments take place: a world of servers and a route, and traffic through it."""
