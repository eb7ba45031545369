"""What several processes tell one another of their targets: a notice board, off by default.

`url` reads the setting, `board` says what a store must do, `memory`, `sqlite` and `redis` do
it.  `notice` is what stands on the board, `member` one endpoint's part in it, `fleet` the one
background thread that reads and writes, `drills` the game days of all processes.  Calls
never touch the board.
"""
