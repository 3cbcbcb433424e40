"""What people are told: in app, live, and by mail."""
