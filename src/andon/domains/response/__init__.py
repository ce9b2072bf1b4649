"""What people do when the line has stopped."""
