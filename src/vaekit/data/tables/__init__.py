"""Tables: columns of several kinds, their cells and their codes."""
