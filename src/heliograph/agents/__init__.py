"""For agents, programs in which a language model decides what to do: an MCP server over the steps of the flow.

Only `protocol.py` imports the MCP package, and it is imported when the first agent comes: it takes its time and memory.
"""
