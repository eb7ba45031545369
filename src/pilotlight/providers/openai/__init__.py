"""OpenAI-style servers, asked directly."""
