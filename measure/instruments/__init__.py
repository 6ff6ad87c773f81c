"""The machine's instruments: power, temperature, clocks, load of other processes."""
