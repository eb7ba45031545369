"""What holds inside a `with` block, wherever the code that stands in it runs."""
