"""Sessions of gateways: states that may pass by themselves, why a session is down, and the gateway's own word."""
