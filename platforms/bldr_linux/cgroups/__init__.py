"""Control groups: where they may be made (`tree`, the engine's side) and one for each launch (`group`, the cell's)."""
