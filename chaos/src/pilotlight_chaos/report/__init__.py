"""What is told of journals: a page, Markdown for people, JUnit for machines."""
