"""Tables whose columns have different kinds: columns, cells, and their encoding as numbers."""
