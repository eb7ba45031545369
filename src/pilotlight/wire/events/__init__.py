"""The events of a stream in passing: cut from its bytes, watched for words, errors and its end."""
