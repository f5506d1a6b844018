"""How hosts reach the surface; each transport only encodes what the surface returns.

messages   bytes as a JSON-RPC message, or what is wrong with them
progress   stages of a call, and signs of life while one takes long
stdio/     standard input and output
http/      streamable HTTP
"""
