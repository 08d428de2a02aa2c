"""What happened, pure: no clock, no disk, no network, no logging."""
