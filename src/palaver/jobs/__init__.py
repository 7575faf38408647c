"""Work for later: tasks, the jobs that launch them, and those who run them."""
