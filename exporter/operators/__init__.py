"""Pages for operators on the admin listener: what is down, all devices, one device."""
