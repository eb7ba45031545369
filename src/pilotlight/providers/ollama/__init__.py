"""The local leg: Ollama, asked natively."""
