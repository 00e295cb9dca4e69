"""What tests share: archives made by code, a hub in this process, a hub in a process of its own."""
