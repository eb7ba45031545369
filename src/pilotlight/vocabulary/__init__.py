"""The words as data: faults, receipts, operations, the rules of residency.  Imports no room."""
