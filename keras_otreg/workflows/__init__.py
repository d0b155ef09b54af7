"""What the commands for one's own pictures do, without their options."""
