"""Private calls stay at home: watched at the socket, and in everything that is written down."""
