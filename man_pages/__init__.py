"""Makes the man pages while a wheel is built (docs/design/man_pages.md). No part of the program."""
