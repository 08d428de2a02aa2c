"""Each device's local days, summed once and kept in the journal: what pages show costs no reading of events."""
