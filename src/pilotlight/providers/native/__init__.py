"""Claude and Gemini, asked in their own dialects."""
