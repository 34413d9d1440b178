"""What keeps a run alive and fast. The class need not open it."""
