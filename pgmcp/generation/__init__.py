"""Turns a question into SQL: prompt, model client, and the operator's context file.

    catalog, context file ─▶ prompt_writer ─▶ prompt ─▶ model ─▶ completion ─▶ reply

prompt_writer    chooses what fits into a prompt
prompt           writes the prompt
model            sends it to an OpenAI-compatible endpoint
completion       reads the response: a reply and its token counts
reply            reads the JSON object that the model must reply with
model_errors     explains errors of the endpoint, with hints

context_file     reads the operator's context file
yaml_nodes       reads YAML with line numbers
context_check    finds names in the context file that the catalog lacks
context_edit     adds entries to the context file
verified         finds the verified question that was asked, and binds its parameters
verified_reader  reads one verified question, and its expected answer for `pgmcp evaluate`
parameters       defines kinds and bounds of parameters
"""
